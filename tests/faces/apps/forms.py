"""Forms: fields of every kind, models, and what is no form."""

import datetime
import enum
from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, Depends, FastAPI, File, Form, Header, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ..case import case, version
from ..request import post
from ..trace import Trace
from .show import seen

# Before 0.117 files are closed before the answer is sent.
CLOSED_EARLY = version(fastapi.__version__) < (0, 117, 0)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=edge"}


def multipart(*parts: tuple[str, bytes]) -> bytes:
    text = b"".join(
        b"--edge\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), body) for head, body in parts
    )
    return text + b"--edge--\r\n"


@case(
    [
        (200, post("/form", FORM, body=b"name=a&n=5")),
        (200, post("/form", FORM, body=b"name=%C3%A9+x&n=5&n=6")),
        (422, post("/form", FORM, body=b"name=a&n=x")),
        (422, post("/form", FORM)),
        (422, post("/form", {"Content-Type": "text/plain"}, body=b"name=a&n=5")),
        (200, post("/form", PARTS, body=multipart(('name="name"', b"a"), ('name="n"', b"7")))),
        ({400, 422}, post("/form", PARTS, body=b"nonsense")),
        (200, post("/model", FORM, body=b"name=a&tags=x&tags=y")),
        (422, post("/model", FORM, body=b"tags=x")),
        (200, post("/file", PARTS, body=multipart(('name="file"; filename="a.bin"', b"\x00\xff" * 50)))),
        (422, post("/file", PARTS, body=multipart(('name="other"', b"x")))),
        (
            200,
            post(
                "/upload",
                PARTS,
                body=multipart(('name="files"; filename="a"', b"1"), ('name="files"; filename="b"', b"22")),
            ),
        ),
        (200, post("/json", json=[1])),
    ],
    fallback=["POST /file", "POST /upload"] if CLOSED_EARLY else [],
)
def forms(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Model(BaseModel):
        name: str
        tags: list[str] = []

    @app.post("/form")
    async def form(name: Annotated[str, Form()], n: Annotated[int, Form()]):
        return seen(name=name, n=n)

    @app.post("/model")
    async def model(data: Annotated[Model, Form()]):
        return data

    @app.post("/file")
    def file(file: Annotated[bytes, File()]):
        return len(file)

    @app.post("/upload")
    async def upload(files: list[UploadFile]):
        return [[file.filename, len(await file.read())] for file in files]

    @app.post("/json")
    async def json(n: list[int]):
        return n

    return app


# What travels as a form, whether or not it is one.
URLENCODED = [
    b"",
    b"&",
    b"=",
    b"name",
    b"name=",
    b"=a",
    b"name=a&",
    b"&name=a",
    b"name=a&&n=1",
    b"name=a;n=1",
    b"name=a=b&n=1",
    b"name=a+b%20c&n=%31",
    b"na%6De=a&n=1",
    b"name=%C3%A9%E2%82%AC&n=1",
    b"name=%ff&n=1",
    b"name=\xc3\xa9&n=1",
    b"name=%&n=1",
    b"name=%zz%4&n=1",
    b"name=%00&n=1",
    b"name=a&name=b&n=1&n=2",
    b"name=" + b"x" * 70_000 + b"&n=1",
    b"name=" + b"x" * (1 << 20) + b"&n=1",
    b"n=1&name=" + b"x" * ((1 << 20) - 4),
    b"n=1&name=" + b"x" * ((1 << 20) - 3),
    b"&".join(b"x%d=1" % i for i in range(998)) + b"&name=a&n=1",
    b"&".join(b"x%d=1" % i for i in range(999)) + b"&name=a&n=1",
    b'{"name": "a", "n": 1}',
]

MULTIPART = [
    multipart(('name="name"', b"a"), ('name="n"', b"7")),
    multipart(('name="name"', b"a"), ('name="n"', b"7"))[:-2],
    multipart(('name="name"', b"a"), ('name="n"', b"7"))[:-4],
    multipart(('name="name"', b"a"), ('name="n"', b"7"))[:-8],
    multipart(('name="name"', b"a"), ('name="n"', b"7")) + b"more",
    b"before\r\n" + multipart(('name="name"', b"a"), ('name="n"', b"7")),
    b"\r\n" + multipart(('name="name"', b"a"), ('name="n"', b"7")),
    multipart(('name="name"', b"a"), ('name="n"', b"7")).replace(b"\r\n", b"\n"),
    multipart(('name="name"', b"a"), ('name="n"', b"7")).replace(b"--edge\r\n", b"--edge \r\n"),
    multipart(("name=name", b"a"), ("name=n", b"7")),
    multipart(('name="na\\"me"', b"a"), ('name="n"', b"7")),
    multipart(('name="name"; x=y', b"a"), ('name="n"', b"7")),
    multipart(("", b"a"), ('name="n"', b"7")),
    multipart(('name=""', b"a"), ('name="n"', b"7")),
    multipart(('name="name"', b"\xff"), ('name="n"', b"7")),
    multipart(('name="name"', "€".encode()), ('name="n"', b"7")),
    multipart(('name="name"\r\nContent-Type: text/plain; charset=latin-1', b"\xe9"), ('name="n"', b"7")),
    multipart(('name="name"\r\n folded: 1', b"a"), ('name="n"', b"7")),
    multipart(('name="name"\r\nX: ' + "y" * 5000, b"a"), ('name="n"', b"7")),
    multipart(('name="name"' + "\r\nX: y" * 9, b"a"), ('name="n"', b"7")),
    multipart(('name="name"', b"a"), ('name="n"; filename="7"', b"7")),
    multipart(('name="name"', b"a"), ('name="n"', b"7"), ('name="f"; filename="x"', b"unasked")),
    multipart(('name="name"', b"a"), ('name="n"', b"\r\n--edg")),
    multipart(('name="name"', b"a\r\n--edge!b"), ('name="n"', b"7")),
    multipart(*[(f'name="x{i}"', b"") for i in range(998)], ('name="name"', b"a"), ('name="n"', b"7")),
    multipart(*[(f'name="x{i}"', b"") for i in range(999)], ('name="name"', b"a"), ('name="n"', b"7")),
    multipart(*[(f'name="x{i}"', b"") for i in range(10_000)]),
    multipart(('name="name"', b"x" * (1 << 20)), ('name="n"', b"7")),
    multipart(('name="name"', b"x" * ((1 << 20) + 1)), ('name="n"', b"7")),
    b"--edge--\r\n",
    b"--edge\r\n\r\n\r\n--edge--\r\n",
    b"--edge",
    b"",
]

TYPES = [
    "application/x-www-form-urlencoded; charset=utf-8",
    "APPLICATION/x-www-form-urlencoded",
    "application/x-www-form-urlencoded;",
    "application/json",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary="edge"',
    "multipart/form-data; charset=latin-1; boundary=edge",
    "multipart/form-data; boundary=edge; charset=utf-16",
    "multipart/form-data; boundary=other",
    "multipart/mixed; boundary=edge",
    "Multipart/Form-Data; Boundary=edge",
]

ANY = {200, 400, 422}


@case(
    [
        *[(ANY, post("/form", FORM, body=body)) for body in URLENCODED],
        *[(ANY, post("/form", FORM, body=body, chunks=[3, 7])) for body in URLENCODED if len(body) < 100],
        *[(ANY, post("/form", PARTS, body=body)) for body in MULTIPART],
        *[(ANY, post("/form", PARTS, body=body, chunks=[1, 50, 2])) for body in MULTIPART if len(body) < 1000],
        *[(ANY, post("/form", {"Content-Type": kind}, body=MULTIPART[0])) for kind in TYPES],
        *[(ANY, post("/form", {"Content-Type": kind}, body=b"name=a&n=5")) for kind in TYPES],
        (ANY, post("/form", [("Content-Type", "text/plain"), *FORM.items()], body=b"name=a&n=5")),
        (ANY, post("/form", {}, body=b"name=a&n=5")),
        (ANY, post("/form", FORM)),
        (ANY, post("/form", PARTS)),
    ],
    wild=False,
)
def form_bodies(trace: Trace) -> FastAPI:
    """Every way to write a form, and what is none."""
    app = FastAPI()

    @app.post("/form")
    def form(name: Annotated[str, Form()], n: Annotated[int, Form()]):
        trace("form", len(name))
        return [len(name), name[:100], n]

    return app


@case(
    [
        (200, post("/kinds", FORM, body=b"colour=red&when=2024-01-02&tags=a&tags=b&numbers=1&numbers=1&X-Alias=y")),
        (422, post("/kinds", FORM, body=b"colour=red&tags=&numbers=&note=&X-Alias=y")),
        (422, post("/kinds", FORM, body=b"colour=grey&when=never&numbers=x&note=n")),
        (422, post("/kinds", FORM, body=b"colour=&X-Alias=")),
        (422, post("/kinds", FORM, body=b"alias=y&colour=red")),
        (200, post("/checked", FORM, body=b"word=good&m=1")),
        (422, post("/checked", FORM, body=b"word=bad&m=1")),
        (422, post("/checked", FORM, body=b"word=bad&m=x")),
        (422, post("/checked", {**FORM, "n": "x"}, body=b"word=bad&m=x")),
        (ANY, post("/optional", FORM, body=b"a=")),
        (ANY, post("/optional", FORM, body=b"b=1")),
        (ANY, post("/optional", {"Content-Type": "text/plain"}, body=b"b=1")),
        (ANY, post("/optional")),
        (422, post("/optional", FORM, body=b"a=x")),
        (200, post("/one", FORM, body=b"a=1&b=2")),
        (200, post("/depends", FORM, body=b"a=1&b=2&c=3")),
        (422, post("/depends", FORM, body=b"b=2&c=3")),
        (422, post("/depends", FORM, body=b"a=1&b=2&c=x")),
    ]
)
def form_fields(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Colour(enum.Enum):
        RED = "red"

    @app.post("/kinds")
    async def kinds(
        colour: Annotated[Colour, Form()],
        alias: Annotated[str, Form(alias="X-Alias", min_length=1, max_length=3)],
        when: Annotated[datetime.date | None, Form()] = None,
        tags: Annotated[tuple[str, ...], Form()] = (),
        numbers: Annotated[frozenset[int], Form()] = frozenset({7}),
        note: Annotated[str, Form()] = "none",
    ):
        return seen(colour=colour, alias=alias, when=when, tags=tags, numbers=numbers, note=note)

    def good(word: str) -> str:
        trace("validate", word)
        if word == "bad":
            raise ValueError("bad word")
        return word + "!"

    def before():
        trace("dependency")

    @app.post("/checked", dependencies=[Depends(before)])
    def checked(
        word: Annotated[str, AfterValidator(good), Form()],
        m: Annotated[int, Form()],
        n: Annotated[int, Header()] = 0,
    ):
        trace("endpoint")
        return seen(word=word, m=m, n=n)

    @app.post("/optional")
    async def optional(a: Annotated[int | None, Form()] = None, b: Annotated[str, Form()] = "b"):
        return seen(a=a, b=b)

    @app.post("/one")
    def one(a: str = Form()):
        return a

    def inner(a: Annotated[int, Form()], b: Annotated[str, Form()] = "x"):
        trace("inner", a, b)
        return a

    @app.post("/depends")
    async def depends(value: Annotated[int, Depends(inner)], c: Annotated[int, Form()]):
        trace("endpoint", value, c)
        return [value, c]

    return app


@case(
    [
        (200, post("/model", FORM, body=b"name=a&tags=x&tags=y&n=3")),
        (200, post("/model", PARTS, body=multipart(('name="name"', b"a"), ('name="tags"', b"t")))),
        (422, post("/model", FORM, body=b"tags=x")),
        (422, post("/model", FORM, body=b"name=&n=x")),
        (200, post("/model", FORM, body=b"name=a&other=1")),
        (200, post("/strict", FORM, body=b"long-name=a")),
        (422, post("/strict", FORM, body=b"long-name=a&other=1&other=2")),
        (422, post("/strict", FORM, body=b"name=a")),
        (200, post("/open", FORM, body=b"name=a&other=1&other=2&more=3")),
        (200, post("/checked", FORM, body=b"word=good")),
        (422, post("/checked", FORM, body=b"word=bad")),
        (422, post("/checked", FORM, body=b"x=bad")),
        (ANY, post("/beside", FORM, body=b"name=a&n=3&extra=4")),
    ]
)
def form_models(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Model(BaseModel):
        name: str
        tags: list[str] = []
        n: int = 0

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        name: Annotated[str, Field(alias="long-name")]

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        name: str

    def good(word: str) -> str:
        trace("validate", word)
        if word == "bad":
            raise ValueError("bad word")
        return word

    class Checked(BaseModel):
        word: Annotated[str, AfterValidator(good)]

    @app.post("/model")
    def model(data: Annotated[Model, Form()]):
        return data

    @app.post("/strict")
    async def strict(data: Annotated[Strict, Form()]):
        return data

    @app.post("/open")
    async def opened(data: Annotated[Open, Form()]):
        return data

    @app.post("/checked")
    def checked(data: Annotated[Checked, Form()]):
        trace("endpoint")
        return data

    @app.post("/beside")
    async def beside(data: Annotated[Model, Form()], extra: Annotated[int, Form()]):
        return [data, extra]

    return app


@case(
    [
        (200, post("/request", FORM, body=b"a=1&b=2&b=3")),
        (200, post("/request", PARTS, body=multipart(('name="a"', b"1")))),
        (500, post("/body", FORM, body=b"a=1")),
        (422, post("/request", FORM, body=b"b=2")),
        (418, post("/handled", FORM, body=b"a=1&b=2")),
        (418, post("/handled", PARTS, body=multipart(('name="a"', b"1"), ('name="b"', b"2")))),
        (422, post("/handled", FORM, body=b"a=x")),
        (404, post("/http", FORM, body=b"a=1")),
        (500, post("/raises", FORM, body=b"a=1")),
        (200, post("/p/4", FORM, body=b"a=1")),
        (422, post("/p/x", FORM, body=b"a=1")),
    ]
)
def form_requests(trace: Trace) -> FastAPI:
    """Forms beside a Request, and exception handlers that look at the form."""
    app = FastAPI()

    class Teapot(Exception):
        pass

    @app.exception_handler(Teapot)
    async def teapot(request: Request, exc: Teapot):
        form = await request.form()
        return JSONResponse({"form": form.multi_items()}, 418)

    @app.post("/request")
    async def request(request: Request, a: Annotated[str, Form()]):
        form = await request.form()
        again = await request.form()
        return [a, form.multi_items(), form is again, type(form).__name__]

    @app.post("/body")
    async def body(request: Request, a: Annotated[str, Form()]):
        return len(await request.body())

    @app.post("/handled")
    def handled(a: Annotated[int, Form()]) -> Any:
        raise Teapot

    @app.post("/http")
    def http(a: Annotated[int, Form()]):
        raise HTTPException(404, f"no {a}")

    @app.post("/raises")
    async def raises(a: Annotated[int, Form()]):
        raise RuntimeError(a)

    @app.post("/p/{p}")
    def path(p: int, a: Annotated[int, Form()]):
        return p + a

    return app


@case(
    [
        (200, post("/form", FORM, body=b"a=1&b=2")),
        (400, post("/form", FORM, body=b"a=1&b=2&c=3")),
        (400, post("/form", FORM, body=b"a=12345678901234567890")),
        (400, post("/form", PARTS, body=multipart(*[('name="a"', b"1")] * 3))),
        (200, post("/route", FORM, body=b"a=1&b=2&c=3")),
        (400, post("/route", PARTS, body=multipart(('name="a"', b"1"), ('name="b"', b"123456")))),
        (200, post("/files", PARTS, body=multipart(('name="f"; filename="x"', b"1" * 100)))),
        (400, post("/files", PARTS, body=multipart(*[('name="f"; filename="x"', b"1")] * 2))),
        (200, post("/in/form", FORM, body=b"a=1")),
        (400, post("/in/form", FORM, body=b"a=1&b=2")),
        (200, post("/in/scope", FORM, body=b"a=1")),
    ],
    since=("0.165.0", "form_limits"),
)
def form_limits(trace: Trace) -> FastAPI:
    app = FastAPI(form_limits={"max_fields": 2, "max_part_size": 10})
    inner = APIRouter(form_limits={"max_fields": 1})

    @app.post("/form")
    def form(a: Annotated[str, Form()]):
        return a

    @app.post("/route", form_limits={"max_fields": 3, "max_part_size": 5})
    async def route(a: Annotated[str, Form()]):
        return a

    @app.post("/files", form_limits={"max_files": 1})
    async def files(f: list[UploadFile]):
        return len(f)

    @inner.post("/form")
    def inner_form(a: Annotated[str, Form()]):
        return a

    @inner.post("/scope")
    def scope(request: Request, a: Annotated[str, Form()]):
        return request.scope["fastapi"]["form_limits"]

    app.include_router(inner, prefix="/in")
    return app


@case(
    [
        (200, post("/form", FORM, body=b"a=1")),
        (413, post("/form", FORM, body=b"a=" + b"1" * 200)),
        (413, post("/form", FORM, body=b"a=" + b"1" * 200, chunks=[50, 50, 50])),
        (413, post("/form", PARTS, body=multipart(('name="a"', b"1" * 100)))),
        (413, post("/form", PARTS, body=multipart(('name="a"', b"1" * 100)), chunks=[90])),
        (200, post("/file", PARTS, body=multipart(('name="a"; filename="x"', b"1" * 100)))),
        (413, post("/file", PARTS, body=multipart(('name="a"; filename="x"', b"1" * 3000)), chunks=[1000])),
    ],
    fallback=[f"GET {path}" for path in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")],
    since=("0.164.0", "max_body_size"),
)
def form_body_size(trace: Trace) -> FastAPI:
    app = FastAPI(max_body_size=100)

    @app.post("/form")
    def form(a: Annotated[str, Form()]):
        return a

    @app.post("/file", max_body_size=1000)
    async def file(a: UploadFile):
        return a.size

    return app
