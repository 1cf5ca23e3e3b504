"""Security schemes as dependencies."""

import base64
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBasicCredentials,
    HTTPBearer,
    HTTPDigest,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OpenIdConnect,
    SecurityScopes,
)

from ..case import case
from ..request import get, post
from ..trace import Trace
from .show import seen


def basic(text: str | bytes) -> dict[str, str]:
    raw = text if isinstance(text, bytes) else text.encode()
    return {"Authorization": "Basic " + base64.b64encode(raw).decode()}


def authorization(value: str | bytes) -> dict[str, str | bytes]:
    return {"Authorization": value}


NO = {401, 403}


@case(
    [
        (200, get("/header", {"X-Key": "k"})),
        (200, get("/header", {"x-key": b"\xe9"})),
        (NO, get("/header")),
        (NO, get("/header", {"X-Key": ""})),
        (200, get("/query?api_key=k")),
        (NO, get("/query")),
        (NO, get("/query?api_key=")),
        (200, get("/query?api_key=a&api_key=b")),
        (200, get("/query?api_key=%ff")),
        (200, get("/cookie", {"Cookie": "session=k"})),
        (NO, get("/cookie", {"Cookie": "other=k"})),
        (200, get("/optional")),
        (200, get("/optional", {"X-Key": "k"})),
    ]
)
def api_keys(trace: Trace) -> FastAPI:
    app = FastAPI()
    header = APIKeyHeader(name="X-Key")

    @app.get("/header")
    async def by_header(key: Annotated[str, Security(header)]):
        trace("header")
        return seen(key=key)

    @app.get("/query")
    def by_query(key: Annotated[str, Depends(APIKeyQuery(name="api_key"))]):
        return seen(key=key)

    @app.get("/cookie")
    async def by_cookie(key: Annotated[str, Security(APIKeyCookie(name="session"))]):
        return seen(key=key)

    @app.get("/optional")
    async def optional(key: Annotated[str | None, Security(APIKeyHeader(name="X-Key", auto_error=False))]):
        return seen(key=key)

    return app


@case(
    [
        (200, get("/", basic("me:secret"))),
        (200, get("/", basic("me:se:cret"))),
        (200, get("/", basic(":"))),
        (401, get("/", basic("nocolon"))),
        ({200, 401}, get("/", basic("\u00e9:\u00e9"))),
        ({200, 401}, get("/", basic(b"\xff:\xff"))),
        (401, get("/")),
        (NO, get("/", authorization("Bearer x"))),
        (401, get("/", authorization("Basic"))),
        (401, get("/", authorization("Basic !!!!"))),
        (401, get("/", authorization("Basic " + "QQ"))),
        (200, get("/", authorization("bAsIc " + base64.b64encode(b"a:b").decode()))),
        ({200, 401}, get("/", authorization("Basic  " + base64.b64encode(b"a:b").decode()))),
        ({200, 401}, get("/", authorization(b"Basic \xe9"))),
        (401, get("/realm")),
        (200, get("/optional")),
        (200, get("/optional", authorization("Bearer x"))),
    ]
)
def http_basic(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(user: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]):
        trace("read", ascii(user.username))
        return user

    @app.get("/realm")
    def realm(user: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="shop"))]):
        return user

    @app.get("/optional")
    async def optional(user: Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False))]):
        return user

    return app


@case(
    [
        (200, get("/", authorization("Bearer abc"))),
        (200, get("/", authorization("bearer abc"))),
        (200, get("/", authorization("Bearer a b  c"))),
        ({200, 401, 403}, get("/", authorization("Bearer  abc"))),
        (NO, get("/")),
        (NO, get("/", authorization("Bearer"))),
        (NO, get("/", authorization("Bearer "))),
        (NO, get("/", authorization("Basic abc"))),
        (200, get("/", [("Authorization", "Bearer one"), ("Authorization", "Bearer two")])),
        (200, get("/digest", authorization("Digest abc"))),
        (NO, get("/digest", authorization("Bearer abc"))),
        (200, get("/optional", authorization("Basic abc"))),
        (200, get("/optional", authorization("Bearer abc"))),
    ]
)
def http_bearer_and_digest(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(token: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        return token

    @app.get("/digest")
    def digest(token: Annotated[HTTPAuthorizationCredentials, Security(HTTPDigest())]):
        return token

    @app.get("/optional")
    async def optional(token: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]):
        return {"token": token}

    return app


@case(
    [
        (200, get("/", authorization("Bearer me"))),
        (401, get("/")),
        (401, get("/", authorization("Bearer nobody"))),
        (401, get("/", authorization("Basic me"))),
        (200, get("/items", authorization("Bearer me"))),
        (403, get("/admin", authorization("Bearer me"))),
        (200, get("/admin", authorization("Bearer root"))),
        (200, get("/code", authorization("Bearer code"))),
        (401, get("/code")),
        (200, get("/openid", authorization("anything at all"))),
        (NO, get("/openid")),
    ]
)
def oauth2_bearer(trace: Trace) -> FastAPI:
    app = FastAPI()
    scheme = OAuth2PasswordBearer(tokenUrl="token", scopes={"read": "Read.", "admin": "All."})
    code = OAuth2AuthorizationCodeBearer(authorizationUrl="authorize", tokenUrl="token")
    users = {"me": ["read"], "root": ["read", "admin"]}

    async def user(scopes: SecurityScopes, token: Annotated[str, Depends(scheme)]):
        trace("user", token, scopes.scope_str)
        if token not in users:
            raise HTTPException(401, "Who?", {"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'})
        for scope in scopes.scopes:
            if scope not in users[token]:
                raise HTTPException(403, {"missing": scope, "all": scopes.scopes})
        return token

    def reader(name: Annotated[str, Security(user, scopes=["read"])]):
        return name.upper()

    @app.get("/")
    async def read(name: Annotated[str, Depends(user)]):
        return name

    @app.get("/items")
    def items(name: Annotated[str, Depends(reader)]):
        return name

    @app.get("/admin")
    async def admin(name: Annotated[str, Security(reader, scopes=["admin"])]):
        return name

    @app.get("/code")
    async def by_code(token: Annotated[str, Security(code)]):
        return token

    @app.get("/openid")
    async def openid(token: Annotated[str, Security(OpenIdConnect(openIdConnectUrl="/openid"))]):
        return token

    return app


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@case(
    [
        (200, post("/token", FORM, body=b"grant_type=password&username=me&password=x&scope=a+b")),
        (422, post("/token", FORM, body=b"username=me")),
        (422, post("/token", FORM, body=b"grant_type=code&username=me&password=x")),
        (422, post("/token")),
        (401, get("/me")),
        (200, get("/me", authorization("Bearer x"))),
    ],
)
def oauth2_password_form(trace: Trace) -> FastAPI:
    app = FastAPI()
    scheme = OAuth2PasswordBearer(tokenUrl="token")

    @app.post("/token")
    async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
        trace("token", form.username)
        return {"access_token": form.username, "scopes": form.scopes, "token_type": "bearer"}

    @app.get("/me")
    def me(token: Annotated[str, Depends(scheme)]):
        return token

    return app
