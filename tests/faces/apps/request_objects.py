"""The Request parameter, and what hangs on it."""

from typing import Annotated

from fastapi import Body, Depends, FastAPI, Request, Response
from fastapi.requests import HTTPConnection
from pydantic import BaseModel

from ..case import case
from ..request import get, head, post, put
from ..trace import Trace

AWKWARD = [
    "/echo/a%2Fb/c?x=1&y=%20&x=2",
    "/echo/%C3%A9%ff?%ff=%zz",
    "/echo/a;b=c?d=e;f=g",
    "/echo/a//b/../c?",
    "/echo/x?a=b?c=d/e",
    '/echo/{}|^`\\"<>?q={}|^`\\"<>\'',
    "/echo/?",
    "/echo/%00%0d%0a",
    "/echo/" + "p" * 4000 + "?" + "q" * 3000,
]


@case(
    [(200, get(target, {"X-Odd": b"\xff\xe9"})) for target in AWKWARD]
    + [(200, get("/echo/x", [("A", "1"), ("a", "2"), ("B", ""), ("A", "3")]))]
    + [(200, get("/echo/x", {"Host": "other.test:81", "Cookie": "a=b; c=d"}))]
    + [(200, post("/echo/x", {"Content-Type": "text/odd"}, body=b"body"))],
    steady=False,
)
def request_scope(trace: Trace) -> FastAPI:
    """Everything a scope says, the connection's two ends included."""
    app = FastAPI()

    @app.api_route("/echo/{rest:path}", methods=["GET", "POST"])
    async def echo(request: Request):
        scope = request.scope
        return {
            "method": request.method,
            "url": ascii(str(request.url)),
            "base_url": str(request.base_url),
            "path": ascii(scope["path"]),
            "raw_path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "root_path": scope["root_path"],
            "http_version": scope["http_version"],
            "scheme": scope["scheme"],
            "type": scope["type"],
            "asgi": scope["asgi"]["version"],
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
            "server": [scope["server"][0], scope["server"][1]],
            "client": [request.client.host, request.client.port],
            "path_params": ascii(request.path_params),
            "query_params": ascii(request.query_params.multi_items()),
            "cookies": request.cookies,
            "route": scope["route"].path,
            "endpoint": scope["endpoint"].__name__,
            "keys": type(scope).__name__,
        }

    return app


BODIES = [b"", b"text", b"\xff\xfe", b"x" * 100_000, b'{"a": 1}']


@case(
    [(200, post("/body", body=body)) for body in BODIES]
    + [(200, post("/stream", body=body)) for body in BODIES]
    + [(200, post("/stream", body=b"in chunks", chunks=[1, 4, 2])), (200, post("/body", body=b"in chunks", chunks=[9]))]
    + [
        (200, post("/json", json={"a": [1]})),
        (500, post("/json", body=b"{")),
        (200, get("/body")),
        (200, head("/body")),
    ]
    + [
        (200, post("/both", json={"name": "n"})),
        (422, post("/both", json={})),
        (200, put("/unread", body=b"y" * 200_000)),
    ]
    + [(200, post("/raw", json={"a": 1})), (200, get("/body", body=b"with a body"))]
)
def request_body(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str

    @app.api_route("/body", methods=["GET", "HEAD", "POST"])
    async def body(request: Request):
        content = await request.body()
        trace("body", len(content))
        return {"length": len(content), "start": content[:20].decode("latin-1"), "again": len(await request.body())}

    @app.post("/stream")
    async def stream(request: Request):
        total = 0
        async for part in request.stream():
            total += len(part)
        return total

    @app.post("/json")
    async def json(request: Request):
        return await request.json()

    @app.post("/both")
    async def both(item: Item, request: Request):
        return [item, (await request.body()).decode()]

    @app.put("/unread")
    async def unread():
        return "the body is left where it is"

    @app.post("/raw")
    async def raw(request: Request, a: Annotated[int, Body(embed=True)]):
        return {"a": a, "length": len(await request.body())}

    return app


@case(
    [
        (200, get("/state")),
        (200, get("/sync?q=1")),
        (500, get("/two")),
        (200, get("/connection", {"X-A": "1"})),
        (200, get("/url")),
        (200, get("/disconnected")),
        (200, get("/app")),
        (200, get("/receive")),
    ]
)
def request_helpers(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.state.started = "yes"

    def set_state(request: Request):
        request.state.user = "me"
        trace("set_state")

    @app.get("/state", dependencies=[Depends(set_state)])
    async def state(request: Request):
        return {"user": request.state.user, "has": hasattr(request.state, "no")}

    @app.get("/two")
    async def two(request: Request, again: Request):
        return "FastAPI fills only the last of them"

    @app.get("/sync")
    def sync(request: Request):
        return dict(request.query_params)

    @app.get("/connection")
    async def connection(connection: HTTPConnection):
        return connection.headers["x-a"]

    @app.get("/url")
    async def url(request: Request):
        return [str(request.url_for("sync")), str(request.url.include_query_params(a=1)), app.url_path_for("state")]

    @app.get("/disconnected")
    async def disconnected(request: Request):
        return [await request.is_disconnected(), await request.is_disconnected()]

    @app.get("/app")
    async def application(request: Request):
        return [request.app is app, request.app.state.started]

    @app.get("/receive")
    async def receive(request: Request):
        message = await request.receive()
        return [message["type"], len(message["body"]), message["more_body"]]

    return app


@case([(200, get("/")), (200, get("/typed")), (200, get("/json"))])
def response_parameter(trace: Trace) -> FastAPI:
    from fastapi.responses import JSONResponse, PlainTextResponse

    app = FastAPI()

    @app.get("/")
    async def read(response: Response):
        return {"type": type(response).__name__, "status": response.status_code, "headers": list(response.headers)}

    @app.get("/typed")
    async def typed(response: PlainTextResponse):
        response.headers["X-Typed"] = "1"
        return type(response).__name__

    @app.get("/json")
    def json(response: JSONResponse):
        response.set_cookie("a", "b")
        return "x"

    return app
