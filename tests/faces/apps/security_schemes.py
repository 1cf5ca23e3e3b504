"""Each class of fastapi.security by itself: what it hands over, and with which challenge it refuses."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Security
from fastapi.openapi.models import APIKey, APIKeyIn, OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import (
    APIKeyCookie,
    APIKeyHeader,
    APIKeyQuery,
    HTTPAuthorizationCredentials,
    HTTPBasic,
    HTTPBearer,
    HTTPDigest,
    OAuth2,
    OAuth2AuthorizationCodeBearer,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    OAuth2PasswordRequestFormStrict,
    OpenIdConnect,
    SecurityScopes,
)
from fastapi.security.base import SecurityBase
from fastapi.security.http import HTTPBase
from starlette.status import HTTP_401_UNAUTHORIZED

from ..case import Step, case
from ..request import get, options, post
from ..trace import Trace
from .show import seen

NO = {401, 403}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def auth(value: str) -> dict[str, str]:
    return {"Authorization": value}


def basic(text: str) -> dict[str, str]:
    return auth("Basic " + base64.b64encode(text.encode()).decode())


def scheme(name: str, made: Any, *steps: Step) -> None:
    """A case with one scheme: in an `async def` and a `def` route, and in front of all routes of a router."""

    def factory(trace: Trace) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(given: Annotated[Any, Depends(made)]):
            trace("read")
            return seen(given=given)

        @app.get("/sync")
        def read_sync(given: Annotated[Any, Security(made)]):
            return seen(given=given)

        guarded = APIRouter(prefix="/guarded", dependencies=[Depends(made)])

        @guarded.get("/")
        async def inside():
            trace("inside")
            return "inside"

        app.include_router(guarded)
        return app

    factory.__name__ = f"scheme_{name}"
    case([*steps, (200, get("/openapi.json"))], wild=False)(factory)


KEY = {"X-Key": "k"}
scheme(
    "api_key_header",
    APIKeyHeader(name="X-Key", scheme_name="Key", description="A key."),
    (200, get("/", KEY)),
    (NO, get("/")),
    (NO, get("/sync", {"X-Key": ""})),
    (NO, get("/guarded/")),
    (200, get("/guarded/", KEY)),
)
scheme(
    "api_key_header_optional", APIKeyHeader(name="x-key", auto_error=False), (200, get("/")), (200, get("/sync", KEY))
)
scheme("api_key_query", APIKeyQuery(name="key"), (200, get("/?key=a%20b")), (NO, get("/")), (NO, get("/sync?Key=a")))
scheme("api_key_query_optional", APIKeyQuery(name="key", auto_error=False), (200, get("/sync")), (200, get("/?key=")))
scheme(
    "api_key_cookie",
    APIKeyCookie(name="key"),
    (200, get("/", {"Cookie": 'key="a b"; other=1'})),
    (NO, get("/", {"Cookie": "key="})),
    (NO, get("/sync")),
)
scheme("api_key_cookie_optional", APIKeyCookie(name="key", auto_error=False), (200, get("/")), (200, get("/sync")))
scheme(
    "basic",
    HTTPBasic(),
    (200, get("/", basic("user:pass"))),
    (200, get("/sync", basic("user:"))),
    (200, get("/", basic(":"))),
    (401, get("/")),
    (401, get("/", basic("no colon"))),
    (401, get("/", auth("Basic ???"))),
    (401, get("/", auth("Bearer x"))),
    (401, get("/guarded/", auth("Basic"))),
)
scheme("basic_realm", HTTPBasic(realm="the shop"), (401, get("/")), (401, get("/sync", auth("Basic x"))))
scheme(
    "basic_optional",
    HTTPBasic(auto_error=False, realm="r"),
    (200, get("/")),
    (200, get("/", auth("Bearer x"))),
    (401, get("/sync", auth("Basic x"))),
)
scheme(
    "bearer",
    HTTPBearer(bearerFormat="JWT", scheme_name="Token", description="A token."),
    (200, get("/", auth("Bearer abc"))),
    (200, get("/sync", auth("bEARER a b"))),
    (NO, get("/")),
    (NO, get("/", auth("Bearer"))),
    (NO, get("/guarded/", auth("Token abc"))),
)
scheme("bearer_optional", HTTPBearer(auto_error=False), (200, get("/")), (200, get("/sync", auth("Basic x"))))
scheme("digest", HTTPDigest(), (200, get("/", auth("Digest a=1"))), (NO, get("/")), (NO, get("/sync", auth("Basic x"))))
scheme("digest_optional", HTTPDigest(auto_error=False), (200, get("/")), (NO | {200}, get("/sync", auth("Basic x"))))
scheme(
    "http_base",
    HTTPBase(scheme="Custom"),
    (200, get("/", auth("Anything goes"))),
    (NO, get("/")),
    (NO, get("/sync", auth(""))),
)
scheme("http_base_optional", HTTPBase(scheme="Custom", auto_error=False), (200, get("/")), (200, get("/sync")))
scheme(
    "oauth2",
    OAuth2(flows=OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl="/token"))),
    (200, get("/", auth("whatever"))),
    (NO, get("/")),
)
scheme("oauth2_optional", OAuth2(auto_error=False), (200, get("/")), (200, get("/sync", auth("x"))))
scheme(
    "oauth2_password",
    OAuth2PasswordBearer("token", scopes={"read": "Read."}, scheme_name="Password", description="d"),
    (200, get("/", auth("Bearer t"))),
    (401, get("/")),
    (401, get("/sync", auth("Basic t"))),
    (200, get("/guarded/", auth("bearer t"))),
)
scheme(
    "oauth2_password_optional", OAuth2PasswordBearer("token", auto_error=False), (200, get("/")), (200, get("/sync"))
)
scheme(
    "oauth2_code",
    OAuth2AuthorizationCodeBearer("authorize", "token", refreshUrl="refresh", scopes={"a": "b"}),
    (200, get("/", auth("Bearer t"))),
    (401, get("/sync")),
)
scheme(
    "oauth2_code_optional",
    OAuth2AuthorizationCodeBearer("authorize", "token", auto_error=False),
    (200, get("/")),
    (200, get("/sync", auth("Bearer t"))),
)
scheme(
    "openid",
    OpenIdConnect(openIdConnectUrl="/openid", scheme_name="Id"),
    (200, get("/", auth("anything"))),
    (NO, get("/sync")),
)
scheme(
    "openid_optional", OpenIdConnect(openIdConnectUrl="/openid", auto_error=False), (200, get("/")), (200, get("/sync"))
)


class Signed(SecurityBase):
    """A scheme of the application's own."""

    def __init__(self) -> None:
        self.model = APIKey(**{"in": APIKeyIn.header}, name="X-Signature")
        self.scheme_name = "Signed"

    async def __call__(self, request: Request) -> str:
        signature = request.headers.get("x-signature")
        if signature != "signed":
            raise HTTPException(HTTP_401_UNAUTHORIZED, "unsigned", headers={"WWW-Authenticate": "Signature"})
        return signature


class Narrower(HTTPBearer):
    """A subclass that refuses in its own way."""

    async def __call__(self, request: Request) -> HTTPAuthorizationCredentials | None:
        found = await super().__call__(request)
        if found is not None and found.credentials != "right":
            raise HTTPException(403, {"wrong": found.credentials})
        return found


scheme("of_its_own", Signed(), (200, get("/", {"X-Signature": "signed"})), (401, get("/")), (401, get("/guarded/")))
scheme(
    "subclassed",
    Narrower(auto_error=False),
    (200, get("/")),
    (200, get("/sync", auth("Bearer right"))),
    (403, get("/", auth("Bearer wrong"))),
)


@case(
    [
        (200, get("/me", auth("Bearer me"))),
        (200, get("/items", auth("Bearer me,items"))),
        (403, get("/items", auth("Bearer me"))),
        (401, get("/items")),
        (200, get("/plain", auth("Bearer x"))),
    ],
    wild=False,
)
def scopes_down_the_tree(trace: Trace) -> FastAPI:
    scheme = OAuth2PasswordBearer("token", scopes={"me": "m", "items": "i"})
    app = FastAPI()

    async def user(scopes: SecurityScopes, token: Annotated[str, Depends(scheme)]):
        trace("user", scopes.scopes, scopes.scope_str)
        missing = [scope for scope in scopes.scopes if scope not in token.split(",")]
        if missing:
            raise HTTPException(403, "missing", headers={"WWW-Authenticate": f'Bearer scope="{scopes.scope_str}"'})
        return token

    def active(token: Annotated[str, Security(user, scopes=["me"])]):
        return token

    @app.get("/me")
    async def me(token: Annotated[str, Depends(active)]):
        return token

    @app.get("/items")
    def items(token: Annotated[str, Security(active, scopes=["items"])], again: Annotated[str, Depends(active)]):
        return [token, again]

    @app.get("/plain")
    async def plain(token: Annotated[str, Security(user)]):
        return token

    return app


@case(
    [
        (200, post("/token", FORM, body=b"grant_type=password&username=u&password=p&scope=a%20b")),
        (200, post("/token", FORM, body=b"username=u&password=p&client_id=c&client_secret=s")),
        (422, post("/token", FORM, body=b"grant_type=other&username=u&password=p")),
        (422, post("/token", FORM, body=b"username=u")),
        (422, post("/strict", FORM, body=b"username=u&password=p")),
        (200, post("/strict", FORM, body=b"grant_type=password&username=u&password=p")),
    ],
    fallback=["POST /token", "POST /strict"],
    wild=False,
)
def password_forms(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.post("/token")
    async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]):
        return seen(**vars(form))

    @app.post("/strict")
    def strict(form: Annotated[OAuth2PasswordRequestFormStrict, Depends()]):
        return seen(**vars(form))

    return app


@case(
    [
        (200, get("/", {**auth("Bearer t"), "X-Key": "k"})),
        (NO, get("/", KEY)),
        (NO, get("/", auth("Bearer t"))),
        (200, get("/either", KEY)),
        (200, get("/either", auth("Bearer t"))),
        (418, get("/either")),
        (405, options("/")),
    ],
    wild=False,
)
def several_schemes(trace: Trace) -> FastAPI:
    key, bearer = APIKeyHeader(name="X-Key"), HTTPBearer()
    key_or, bearer_or = APIKeyHeader(name="X-Key", auto_error=False), HTTPBearer(auto_error=False)
    app = FastAPI(dependencies=[Depends(lambda: trace("app"))])

    @app.get("/", dependencies=[Security(key), Security(bearer)])
    async def both():
        return "both"

    def either(one: Annotated[Any, Depends(key_or)], other: Annotated[Any, Depends(bearer_or)]):
        if one is None and other is None:
            raise HTTPException(418)
        return one or other.credentials

    @app.get("/either")
    async def read(who: Annotated[str, Depends(either)]):
        return who

    return app
