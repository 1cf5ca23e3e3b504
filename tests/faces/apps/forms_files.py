"""Uploads: what a file is in the handler, how long it is open, and what else may be in the form."""

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..case import case
from ..request import post
from ..trace import Trace
from .forms import CLOSED_EARLY, PARTS, multipart

BIG = b"0123456789abcdef" * (1 << 16) + b"!"  # one byte more than stays in memory
EDGE = b"\r\n--edg" * 40_000

ANY = {200, 400, 422}


def file(name: str, content: bytes, filename: str = "x.bin", more: str = "") -> tuple[str, bytes]:
    return f'name="{name}"; filename="{filename}"{more}', content


def described(upload: Any) -> dict[str, Any]:
    """All that a handler can ask of a file without changing it."""
    inner = upload.file
    position = inner.tell()
    end = inner.seek(0, 2)
    inner.seek(max(0, end - 5))
    tail = inner.read()
    inner.seek(3)
    middle = inner.read(4)
    inner.seek(position)
    return {
        "type": f"{type(upload).__module__}.{type(upload).__name__}",
        "filename": upload.filename,
        "size": upload.size,
        "content_type": upload.content_type,
        "headers": upload.headers.items(),
        "file": type(inner).__name__,
        "on disk": inner._rolled,
        "name": type(inner.name).__name__,
        "mode": inner.mode,
        "position": position,
        "end": end,
        "tail": repr(tail),
        "middle": repr(middle),
        "in memory": upload._in_memory,
    }


NAMES = ["a.txt", "", "ä€.txt", "a b;c.txt", "..%2f/etc", "C:\\\\dir\\\\a.txt", 'q\\"uote', "*", "a\tb"]


@case(
    [
        (200, post("/one", PARTS, body=multipart(file("f", b"hello")))),
        (
            200,
            post("/one", PARTS, body=multipart(file("f", b"hello", more="\r\nContent-Type: text/x; a=b\r\nX-Y: z  "))),
        ),
        *[(ANY, post("/one", PARTS, body=multipart(file("f", b"named", name)))) for name in NAMES],
        (ANY, post("/one", PARTS, body=multipart(("name=\"f\"; filename*=UTF-8''e.txt", b"x")))),
        (ANY, post("/one", PARTS, body=multipart(('filename="x"; name="f"', b"x")))),
        (200, post("/one", PARTS, body=multipart(file("f", BIG[:-1])))),
        (200, post("/one", PARTS, body=multipart(file("f", BIG)))),
        (200, post("/one", PARTS, body=multipart(file("f", BIG)), chunks=[100_000] * 8)),
        (200, post("/one", PARTS, body=multipart(file("f", EDGE)))),
        (200, post("/one", PARTS, body=multipart(file("f", BIG), file("f", b"the last counts")))),
        (422, post("/one", PARTS, body=multipart(('name="f"', b"text")))),
        (422, post("/one", PARTS, body=multipart(file("g", BIG)))),
        (ANY, post("/one", PARTS, body=multipart(file("f", BIG))[:-10])),
        (ANY, post("/one", PARTS, body=multipart(file("f", BIG))[:-10] + b"!!!" + BIG)),
        (ANY, post("/one", PARTS, body=multipart(file("f", BIG), *[('name="t"', b"")] * 1001))),
        (ANY, post("/one", PARTS, body=multipart(file("f", BIG), *[file("g", b"")] * 1000))),
        (ANY, post("/one", PARTS, body=multipart(file("f", BIG), ('name="t"', BIG)))),
        (200, post("/sync", PARTS, body=multipart(file("f", b"hello")))),
        (200, post("/sync", PARTS, body=multipart(file("f", BIG)))),
        (200, post("/many", PARTS, body=multipart(file("f", b"1"), file("f", BIG), file("f", b"", "")))),
        (422, post("/many", PARTS, body=multipart(file("f", b"1"), ('name="f"', b"x")))),
        (200, post("/optional", PARTS, body=multipart(('name="t"', b"x")))),
        (200, post("/optional", PARTS, body=multipart(file("f", b"", ""), ('name="t"', b"x")))),
        (200, post("/optional", PARTS, body=multipart(file("f", b"x"), ('name="t"', b"x")))),
        (422, post("/optional", PARTS, body=multipart(file("f", BIG)))),
        (200, post("/bytes", PARTS, body=multipart(file("f", b"\x00\xff"), file("g", b"1"), file("g", BIG)))),
        (200, post("/bytes", PARTS, body=multipart(file("f", BIG)))),
        (200, post("/bytes", PARTS, body=multipart(('name="f"', b"text")))),
        (422, post("/bytes", PARTS, body=multipart(file("g", b"1")))),
        (200, post("/async-bytes", PARTS, body=multipart(file("f", BIG)))),
        (200, post("/both", PARTS, body=multipart(file("f", b"hello"), ('name="name"', b"n")))),
        (200, post("/model", PARTS, body=multipart(file("f", BIG), ('name="name"', b"n")))),
        (200, post("/model", PARTS, body=multipart(file("f", b"1"), ('name="name"', b"n")))),
        (422, post("/model", PARTS, body=multipart(('name="name"', b"n")))),
        (200, post("/depends", PARTS, body=multipart(file("f", b"hello"), ('name="name"', b"n")))),
    ],
    fallback=["*"] if CLOSED_EARLY else [],
    wild=False,
)
def form_files(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.post("/one")
    async def one(f: UploadFile):
        shown = described(f)
        first = await f.read(3)
        await f.seek(0)
        return [shown, repr(first), len(await f.read())]

    @app.post("/sync")
    def sync(f: Annotated[UploadFile, File()]):
        shown = described(f)
        f.file.seek(0, 2)
        f.file.write(b"more")
        f.file.seek(-6, 1)
        return [shown, repr(f.file.read())]

    @app.post("/many")
    async def many(f: list[UploadFile]):
        return [described(each) for each in f]

    @app.post("/optional")
    def optional(t: Annotated[str, Form()], f: UploadFile | None = None):
        return [t, f and described(f)]

    @app.post("/bytes")
    def content(f: Annotated[bytes, File()], g: Annotated[list[bytes], File()] = []):  # noqa: B006
        return [len(f), f[:4].hex(), [len(each) for each in g]]

    @app.post("/async-bytes")
    async def async_content(f: Annotated[bytes, File()]):
        return [len(f), f[-4:].hex()]

    @app.post("/both")
    async def both(request: Request, f: UploadFile, name: Annotated[str, Form()]):
        form = await request.form()
        return [name, form["f"] is f, [key for key, _ in form.multi_items()]]

    class Model(BaseModel):
        name: str
        f: UploadFile

    @app.post("/model")
    async def model(data: Annotated[Model, Form()]):
        return [data.name, described(data.f)]

    def inner(f: UploadFile):
        trace("inner", f.filename)
        return f

    @app.post("/depends")
    async def depends(f: Annotated[UploadFile, Depends(inner)], name: Annotated[str, Form()]):
        trace("endpoint", name)
        return described(f)

    return app


SMALL = multipart(file("f", b"hello"))
LARGE = multipart(file("f", BIG))


@case(
    [
        step
        for body in (SMALL, LARGE)
        for step in (
            (200, post("/after", PARTS, body=body)),
            (200, post("/sync", PARTS, body=body)),
            (404, post("/http", PARTS, body=body)),
            (500, post("/raises", PARTS, body=body)),
            (418, post("/teapot", PARTS, body=body)),
            (418, post("/sync-teapot", PARTS, body=body)),
            (200, post("/closed", PARTS, body=body)),
            (500, post("/late", PARTS, body=body)),
            (422, post("/after", PARTS, body=body.replace(b'name="f"', b'name="g"'))),
            (200, post("/last", PARTS, body=body)),
        )
    ],
    fallback=["*"] if CLOSED_EARLY else [],
    wild=False,
)
def form_files_open(trace: Trace) -> FastAPI:
    """A file is open for as long as in FastAPI, whatever becomes of the request."""
    app = FastAPI()
    kept: list[Any] = []

    def state(where: str) -> None:
        trace(where, [each.file.closed for each in kept])

    async def later(where: str) -> None:
        state(where)

    class Teapot(Exception):
        pass

    @app.exception_handler(Teapot)
    async def teapot(request: Request, exc: Teapot):
        state("handler of exceptions")
        form = await request.form()
        return JSONResponse([name for name, _ in form.multi_items()], 418)

    def keep(f: UploadFile):
        for _ in range(500):  # the last one's answer came before its files were closed
            if all(each.file.closed for each in kept):
                break
            yield_now()
        state("before")
        kept[:] = [f]
        return f

    def yield_now() -> None:
        import time

        time.sleep(0.002)

    Kept = Annotated[UploadFile, Depends(keep)]

    @app.post("/after")
    async def after(f: Kept, tasks: BackgroundTasks):
        tasks.add_task(later, "background")
        state("endpoint")
        return "after"

    @app.post("/sync")
    def sync(f: Kept, tasks: BackgroundTasks):
        tasks.add_task(state, "background in a thread")
        return "sync"

    @app.post("/http")
    async def http(f: Kept):
        raise HTTPException(404, "none")

    @app.post("/raises")
    async def raises(f: Kept):
        raise RuntimeError("raises")

    @app.post("/teapot")
    async def raise_teapot(f: Kept):
        raise Teapot

    @app.post("/sync-teapot")
    def raise_teapot_in_a_thread(f: Kept):
        raise Teapot

    @app.post("/closed")
    async def closed(f: Kept):
        await f.close()
        return f.file.closed

    class Strange(JSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            state("response")
            await asyncio.sleep(0)
            raise RuntimeError("no response")

    @app.post("/late")
    async def late(f: Kept):
        return Strange("late")

    @app.post("/last")
    async def last(f: Kept):
        return "last"

    return app


@case(
    [
        (200, post("/lines", PARTS, body=multipart(('name="a"', b"x"), ('name="n"', b"3")))),
        (422, post("/lines", PARTS, body=multipart(('name="n"', b"none")))),
        (400, post("/lines", PARTS, body=b"nonsense")),
        (200, post("/names", PARTS, body=multipart(file("f", b"hello"), file("f", BIG)))),
        (422, post("/names", PARTS, body=multipart(('name="f"', b"text")))),
    ],
    since=("0.134.0", "JSON lines from a generator"),
    wild=False,
)
def form_generated(trace: Trace) -> FastAPI:
    """Generators that get a form."""
    app = FastAPI()

    @app.post("/lines")
    async def lines(a: Annotated[str, Form()], n: Annotated[int, Form()]) -> AsyncIterable[list[Any]]:
        for i in range(n):
            yield [a, i]
        trace("end")

    @app.post("/names")
    def names(f: list[UploadFile]) -> Iterable[list[Any]]:
        for each in f:
            yield [each.filename, each.size, each.file.closed]
        trace("end")

    return app
