"""Files: whole, in parts, unchanged, missing; and templates."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.background import BackgroundTask

from ..case import case
from ..request import get, head, post
from ..trace import Trace

WHEN = 1_700_000_000
SIZE = 150_000
RANGES = [
    "bytes=0-0",
    "bytes=0-",
    "bytes=-1",
    "bytes=-1000000",
    "bytes=100-200",
    "bytes=70000-140000",
    f"bytes={SIZE - 1}-{SIZE + 10}",
    f"bytes={SIZE}-",
    "bytes=5-2",
    "bytes=a-b",
    "bytes=",
    "bytes",
    "lines=1-2",
    "bytes=0-1,3-4",
    "bytes=0-10,5-20,100-70100",
    "bytes=0-1,-5",
    "bytes=0-1,900000-",
    " bytes = 1-2",
]


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that is gone afterwards; quietly, where an application is given up without its shutdown."""
    folder = tempfile.mkdtemp()
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder)


def parts(path: str) -> list[Any]:
    """Every range of a GET, some of a HEAD; a range means nothing to a POST."""
    codes = {200, 206, 400, 416}
    asked = [(codes, get(path, {"Range": text})) for text in RANGES]
    asked += [(codes, head(path, {"Range": text})) for text in ("bytes=5-9", "bytes=0-1,3-4", f"bytes={SIZE}-")]
    return [*asked, (200, post(path, {"Range": "bytes=1-2"}))]


def tagged(path: str) -> list[Any]:
    """If-Range with what the file has and has not."""
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    conditions = ['"other"', date, "Tue, 14 Nov 2023 22:13:21 GMT", 'W/"weak"', ""]
    return [({200, 206}, get(path, {"Range": "bytes=1-3", "If-Range": text})) for text in conditions]


@case(
    [*parts("/file"), *tagged("/file"), (200, get("/def")), (200, get("/class")), (200, get("/named"))]
    + [(200, get(f"/{path}")) for path in ("stat", "tasks", "given", "own", "empty", "type")]
    + [(500, get("/missing")), (500, get("/folder")), (500, get("/gone")), (200, get("/after")), (200, get("/inline"))]
    + [({200, 206}, get(f"/{path}", {"Range": "bytes=1-3"})) for path in ("tasks", "own", "given", "def")]
    + [
        ({200, 206, 416}, get("/empty", {"Range": "bytes=0-"})),
        (404, get("/nowhere")),
        (203, get("/status", {"Range": "bytes=1-3"})),
    ],
    mask=[rb"boundary=[0-9a-f]+", rb"--[0-9a-f]{20,}"],
    wild=False,
)
def files_in_parts(trace: Trace) -> FastAPI:
    place = Path()

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        nonlocal place
        with temporary() as folder:
            place = folder
            (place / "file.bin").write_bytes(b"0123456789abcde" * (SIZE // 15))
            (place / "text.html").write_text("<p>caf\u00e9</p>")
            (place / "empty").touch()
            (place / "folder").mkdir()
            for file in place.iterdir():
                os.utime(file, (WHEN, WHEN))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.api_route("/file", methods=["GET", "HEAD", "POST"])
    async def file():
        return FileResponse(place / "file.bin")

    @app.get("/def")
    def file_def():
        return FileResponse(str(place / "file.bin"), headers={"ETag": '"own"', "X-Way": "def"})

    @app.get("/class", response_class=FileResponse)
    def file_class(response: Response):
        response.headers["X-More"] = "1"
        return place / "text.html"

    @app.get("/named")
    async def named():
        return FileResponse(place / "text.html", filename="a b.html", content_disposition_type="inline")

    @app.get("/inline")
    async def inline():
        return FileResponse(place / "text.html", filename="\u65e5.html", media_type="text/plain")

    @app.get("/stat")
    async def stat():
        return FileResponse(place / "file.bin", stat_result=os.stat(place / "file.bin"))

    @app.get("/gone")
    async def gone():
        """The head is made of what was there before; the file is not."""
        return FileResponse(place / "none", stat_result=None)

    @app.get("/status")
    async def status():
        return FileResponse(place / "text.html", status_code=203)

    @app.get("/tasks")
    async def tasks(tasks: BackgroundTasks):
        tasks.add_task(trace, "task")
        return FileResponse(place / "file.bin")

    @app.get("/given")
    async def given():
        return FileResponse(place / "file.bin", background=BackgroundTask(trace, "background"))

    @app.get("/own")
    async def own():
        class Loud(FileResponse):
            chunk_size = 1000

        response = Loud(place / "file.bin", media_type="application/x-loud")
        response.set_cookie("a", "1")
        return response

    @app.get("/empty")
    async def empty():
        return FileResponse(place / "empty")

    @app.get("/type")
    async def kind():
        return FileResponse(place / "text.html", media_type="text/html; charset=latin-1")

    @app.get("/missing")
    async def missing():
        return FileResponse(place / "none")

    @app.get("/folder")
    async def folder():
        return FileResponse(place / "folder")

    @app.get("/after")
    async def after():
        return "after"

    return app


@case(
    [(200, get(path)) for path in ("/static/file.txt", "/static/large", "/fine")]
    + [(404, get("/static/none")), (405, post("/static/file.txt")), (200, head("/static/file.txt"))]
    + [({200, 206}, get("/static/file.txt", {"Range": "bytes=1-3"}))]
    + [(304, get("/static/file.txt", {"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"}))],
    wild=False,
)
def files_of_a_mount(trace: Trace) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        with temporary() as folder:
            (folder / "file.txt").write_text("text")
            (folder / "large").write_bytes(b"large" * 40_000)
            for file in folder.iterdir():
                os.utime(file, (WHEN, WHEN))
            app.mount("/static", StaticFiles(directory=folder))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/fine")
    async def fine():
        return "fine"

    return app


@case([(200, get("/page?name=x")), (200, get("/page?name=%3Cb%3E")), (201, get("/def")), (500, get("/broken"))])
def templates(trace: Trace) -> FastAPI:
    from jinja2 import DictLoader, Environment

    app = FastAPI()
    pages = {
        "page.html": "<h1>{{ name }}</h1>{{ request.url.path }} {{ url_for('page') }}",
        "broken.html": "{{ missing.attribute }}",
    }
    made = Jinja2Templates(env=Environment(loader=DictLoader(pages), autoescape=True))

    @app.get("/page")
    async def page(request: Request, name: str):
        return made.TemplateResponse(request, "page.html", {"name": name})

    @app.get("/def")
    def page_def(request: Request):
        response = made.TemplateResponse(
            request, "page.html", {"name": "def"}, status_code=201, background=BackgroundTask(trace, "background")
        )
        response.headers["X-Made"] = "def"
        return response

    @app.get("/broken")
    async def broken(request: Request):
        return made.TemplateResponse(request, "broken.html", {})

    return app
