"""Which route answers: order, methods, slashes, routers, mounts, prefixes."""

from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as PathParam
from starlette.convertors import Convertor, register_url_convertor

from ..case import case
from ..request import delete, get, head, options, post, put, request
from ..trace import Trace


@case(
    [
        (200, get(path))
        for path in ("/users/me", "/users/x", "/items/special", "/items/1", "/a/b/c", "/a/b/d", "/any/thing/else")
    ]
    + [(405, post("/users/me")), (200, post("/items/special")), (422, get("/items/x")), (405, put("/users/me"))]
    + [(200, delete("/both")), (200, get("/both")), (200, post("/both")), (405, put("/both"))]
)
def order_of_declaration(trace: Trace) -> FastAPI:
    """The first full match wins, even where a later route is more specific."""
    app = FastAPI()

    @app.get("/users/{name}")
    async def user(name: str):
        return ["user", name]

    @app.get("/users/me")
    async def me():
        return "never"

    @app.get("/items/special")
    async def special():
        return "special"

    @app.get("/items/{number}")
    async def item(number: int):
        return ["item", number]

    @app.post("/items/{name}")
    async def post_item(name: str):
        return ["posted", name]

    @app.get("/a/{x}/c")
    async def first(x: str):
        return ["first", x]

    @app.get("/a/b/{y}")
    def second(y: str):
        return ["second", y]

    @app.get("/any/{rest:path}")
    async def rest(rest: str):
        return ["rest", rest]

    @app.get("/any/thing/else")
    async def shadowed():
        return "never"

    @app.api_route("/both", methods=["GET", "POST"])
    async def both():
        return "both"

    @app.delete("/both")
    async def other():
        return "deleted"

    return app


@case(
    [
        (404, get("/")),
        (404, get("/nothing")),
        (405, post("/one")),
        (405, put("/one")),
        (405, options("/one")),
        (405, head("/one")),
        (405, request("PATCH", "/two")),
        (405, request("BREW", "/two")),
        (404, post("/one/two")),
        (404, get("/ONE")),
        (404, get("//one")),
        (307, get("/one//")),
        (200, get("/one?")),
        (200, get("/o%6ee")),
        (307, get("/one%2F")),
        (404, get("/./one")),
        (200, get("/caf%C3%A9")),
        (200, get("/a.b")),
        (404, get("/aXb")),
        (405, post("/p/5")),
        (405, post("/p/x")),
    ]
)
def not_found_and_not_allowed(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/one")
    async def one():
        return 1

    @app.api_route("/two", methods=["POST", "PUT", "DELETE"])
    def two():
        return 2

    @app.get("/caf\u00e9")
    async def cafe():
        return "cafe"

    @app.get("/a.b")
    async def dotted():
        return "dotted"

    @app.get("/p/{n}")
    async def typed(n: int):
        return n

    return app


@case(
    [
        (307, get("/with")),
        (200, get("/with/")),
        (307, get("/without/")),
        (200, get("/without")),
        (307, get("/with?a=1&b=%20")),
        (307, post("/with", json={"a": 1})),
        (307, get("/deep/1")),
        (307, get("/without//")),
        (307, get("/with", {"Host": "shop.example:8080"})),
        (307, get("/with", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "else.where"})),
        (307, head("/with")),
        ({307, 404}, get("/caf%C3%A9")),
        ({307, 404, 405}, post("/without/")),
        (307, get("/sp%20ace/")),
        (404, get("/withx")),
        (200, get("/")),
    ]
)
def slash_redirects(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root():
        return "root"

    @app.api_route("/with/", methods=["GET", "POST", "HEAD"])
    async def with_slash():
        return "with"

    @app.get("/without")
    async def without():
        return "without"

    @app.get("/deep/{n}/")
    async def deep(n: int):
        return n

    @app.get("/caf\u00e9/")
    async def cafe():
        return "cafe"

    @app.get("/sp ace")
    async def space():
        return "space"

    return app


@case([(404, get("/with")), (404, get("/without/")), (200, get("/with/")), (404, get("/x/"))])
def no_slash_redirects(trace: Trace) -> FastAPI:
    app = FastAPI(redirect_slashes=False)

    @app.get("/with/")
    async def with_slash():
        return "with"

    @app.get("/without")
    async def without():
        return "without"

    @app.get("/x")
    async def x():
        return "x"

    return app


@case(
    [
        (200, get("/docs")),
        (200, get("/redoc")),
        (200, get("/openapi.json")),
        (200, get("/docs/oauth2-redirect")),
        (200, head("/docs")),
        (405, post("/docs")),
        (200, get("/docs?x=1")),
    ],
    fallback=["*"],
)
def documentation_pages(trace: Trace) -> FastAPI:
    app = FastAPI(title="Documented", version="2")

    @app.get("/x/{n}")
    async def x(n: int, q: Annotated[str | None, "text"] = None) -> dict[str, int]:
        return {"n": n}

    return app


@case([(404, get("/docs")), (404, get("/openapi.json")), (200, get("/reference")), (200, get("/x"))])
def documentation_moved(trace: Trace) -> FastAPI:
    app = FastAPI(docs_url="/reference", redoc_url=None, openapi_url="/schema")

    @app.get("/x")
    async def x():
        return "x"

    return app


class Hexadecimal(Convertor[int]):
    """A path converter of the application's own."""

    regex = "[0-9a-f]+"

    def convert(self, value: str) -> int:
        return int(value, 16)

    def to_string(self, value: int) -> str:
        return f"{value:x}"


class Upper(Convertor[str]):
    """Its regex has a slash and a group."""

    regex = "[A-Z]+(?:/[A-Z]+)?"

    def convert(self, value: str) -> str:
        return value.lower()

    def to_string(self, value: str) -> str:
        return value.upper()


@case(
    [
        (200, get(path))
        for path in ("/hex/ff", "/hex/FF", "/upper/AB", "/upper/AB/CD", "/hex/zz", "/upper/AB/CD/end", "/url")
    ]
    + [(404, get("/upper/ab")), (422, get("/typed/ff")), (200, get("/typed/10")), (404, get("/upper/AB/CD/EF"))],
    fallback=["*"],
)
def converters_of_their_own(trace: Trace) -> FastAPI:
    register_url_convertor("faces_hex", Hexadecimal())
    register_url_convertor("faces_upper", Upper())
    app = FastAPI()

    @app.get("/hex/{n:faces_hex}")
    async def number(request: Request):
        return [request.path_params["n"], str(request.url_for("number", n=255))]

    @app.get("/hex/{text}")
    async def text(text: str):
        return ["text", text]

    @app.get("/upper/{name:faces_upper}")
    def upper(name: str):
        return name

    @app.get("/upper/{name:faces_upper}/end")
    async def end(name: str):
        return ["end", name]

    @app.get("/typed/{n:faces_hex}")
    async def typed(n: Annotated[int, PathParam(lt=100)]):
        trace("typed", n)
        return n

    @app.get("/url")
    async def url():
        return app.url_path_for("upper", name="ab")

    return app
