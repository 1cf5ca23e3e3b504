"""Status codes: declared, set on the Response parameter, without a body, unusual."""

from typing import Annotated

from fastapi import Depends, FastAPI, Path, Response, status

from ..case import case
from ..request import delete, get, head, post
from ..trace import Trace

CODES = [200, 201, 202, 203, 204, 206, 207, 208, 226, 299, 300, 304, 400, 404, 418, 422, 451, 500, 503, 599]


@case([(code, get(f"/{code}")) for code in CODES] + [(code, get(f"/none/{code}")) for code in (200, 201, 204, 304)])
def status_declared(trace: Trace) -> FastAPI:
    app = FastAPI()

    def make(code: int, value: object):
        async def handler():
            trace("handler", code)
            return value

        return handler

    for code in CODES:
        app.get(f"/{code}", status_code=code)(make(code, {"code": code} if code not in (204, 304) else None))
    for code in (200, 201, 204, 304):
        app.get(f"/none/{code}", status_code=code)(make(code, None))
    return app


@case(
    [
        (201, post("/create")),
        (200, post("/create?old=true")),
        (202, get("/dependency")),
        (203, get("/both")),
        (204, delete("/x")),
        (204, delete("/response")),
        (304, get("/unchanged")),
        (206, get("/dynamic/206")),
        (304, get("/dynamic/304")),
        (599, get("/dynamic/599")),
        (422, get("/dynamic/0")),
        (200, get("/enum")),
    ]
)
def status_by_response(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.post("/create", status_code=201)
    async def create(response: Response, old: bool = False):
        if old:
            response.status_code = status.HTTP_200_OK
        return {"old": old}

    def accept(response: Response):
        response.status_code = 202
        response.headers["X-From"] = "dependency"

    @app.get("/dependency", dependencies=[Depends(accept)])
    async def dependency():
        return "accepted"

    @app.get("/both", dependencies=[Depends(accept)])
    def both(response: Response):
        response.headers["X-Had"] = str(response.status_code)
        response.status_code = 203
        return "both"

    @app.delete("/x", status_code=204)
    async def remove():
        return None

    @app.delete("/response", status_code=200)
    async def remove_with_response():
        return Response(status_code=204, headers={"X-Gone": "yes"})

    @app.get("/unchanged")
    async def unchanged():
        return Response(status_code=304, headers={"ETag": '"v1"'})

    @app.get("/dynamic/{code}")
    async def dynamic(code: Annotated[int, Path(ge=206, le=599)], response: Response):
        response.status_code = code
        return {"code": code}

    @app.get("/enum", status_code=200)
    async def enum(response: Response):
        response.status_code = status.HTTP_200_OK
        return [1]

    return app


@case(
    [
        (405, head("/get")),
        (200, head("/head")),
        (200, get("/head")),
        (204, head("/empty")),
        (200, head("/both")),
        (200, get("/both")),
        (404, head("/missing")),
        (422, head("/both?n=x")),
    ]
)
def head_requests(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/get")
    async def only_get():
        return {"only": "get"}

    @app.head("/head")
    async def only_head(response: Response):
        response.headers["X-Head"] = "1"
        return {"body": "is not sent"}

    @app.get("/head")
    async def get_too():
        return {"body": "is sent"}

    @app.head("/empty", status_code=204)
    async def empty():
        trace("empty")

    @app.api_route("/both", methods=["GET", "HEAD"])
    def both(n: int = 1):
        trace("both")
        return {"n": n}

    return app


@case([(205, get("/value")), (205, get("/none")), (205, get("/response")), (200, get("/fine"))])
def status_205(trace: Trace) -> FastAPI:
    """FastAPI takes the body away and leaves its length."""
    app = FastAPI()

    @app.get("/value", status_code=205)
    async def value():
        return {"a": 1}

    @app.get("/none", status_code=205)
    def none():
        return None

    @app.get("/response")
    async def response():
        return Response(status_code=205)

    @app.get("/fine")
    async def fine():
        return "fine"

    return app
