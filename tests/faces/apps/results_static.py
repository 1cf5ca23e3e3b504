"""StaticFiles: what is found, what is not, and what a client may ask of a file."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

from ..case import case
from ..request import delete, get, head, options, post
from ..trace import Trace

TIME = 1_700_000_000
SINCE = {"If-Modified-Since": "Tue, 14 Nov 2023 22:13:20 GMT"}
BEFORE = {"If-Modified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}


def folder(app: FastAPI) -> Path:
    """A folder with a site; it lasts as long as the application."""
    root = Path(tempfile.mkdtemp())
    # Most of these applications are listed only, and never end.
    weakref.finalize(app, shutil.rmtree, root, ignore_errors=True)
    site = root / "site"
    (site / "deep" / "empty").mkdir(parents=True)
    (root / "secret.txt").write_text("secret")
    (root / "site-two").mkdir()
    (root / "site-two" / "two.txt").write_text("two")
    for name, text in {
        "a.txt": "0123456789",
        "empty.txt": "",
        "index.html": "<p>index</p>",
        "404.html": "<p>nothing</p>",
        "deep/index.html": "<p>deep</p>",
        "deep/style.css": "p {}",
        "späte.txt": "umlaut",
        "no-extension": "bytes",
        "large.bin": "0123456789abcdef" * 20_000,
    }.items():
        (site / name).write_text(text, encoding="utf-8")
    (site / "out.txt").symlink_to(root / "secret.txt")
    (site / "in.txt").symlink_to(site / "a.txt")
    (site / "broken.txt").symlink_to(root / "nowhere")
    # The same time for both faces' applications.
    for path in root.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (TIME, TIME))
    return root


def files(**more: Any) -> FastAPI:
    app = FastAPI()
    root = folder(app)

    @app.get("/files/own")
    async def own():
        return "own"

    app.mount("/files", StaticFiles(directory=root / "site", **more), name="files")
    app.get("/files/late")(lambda: "late")
    return app


FOUND = [
    (200, get("/files/a.txt")),
    (200, head("/files/a.txt")),
    (200, get("/files/own")),
    (200, get("/files/empty.txt")),
    (200, get("/files/large.bin")),
    (200, get("/files/no-extension")),
    (200, get("/files/sp%C3%A4te.txt")),
    (200, get("/files//a.txt")),
    (200, get("/files/deep/../a.txt")),
    (200, get("/files/./deep/style.css")),
    (200, get("/files/in.txt")),
    ({200, 206}, get("/files/a.txt", {"Range": "bytes=2-4"})),
    ({200, 206}, head("/files/a.txt", {"Range": "bytes=-3"})),
    ({200, 206}, get("/files/large.bin", {"Range": "bytes=300000-"})),
    ({200, 416}, get("/files/a.txt", {"Range": "bytes=50-60"})),
    ({200, 400}, get("/files/a.txt", {"Range": "lines=1-2"})),
    (304, get("/files/a.txt", SINCE)),
    (200, get("/files/a.txt", BEFORE)),
    (304, head("/files/a.txt", SINCE)),
    (200, get("/files/a.txt", {"If-None-Match": '"other"'})),
    ({200, 304}, get("/files/a.txt", {"If-None-Match": "*"})),
    (200, get("/files/a.txt", {"If-Modified-Since": "yesterday"})),
]

NOT_FOUND = [
    (404, get("/files/none.txt")),
    (404, get("/files/late")),
    (404, get("/files/a.txt/more")),
    (404, get("/files/%2e%2e/secret.txt")),
    (404, get("/files/..%2Fsecret.txt")),
    (404, get("/files/..%2Fsite-two%2Ftwo.txt")),
    (404, get("/files/%2Fetc%2Fpasswd")),
    (404, get("/files//etc/passwd")),
    ({404, 500}, get("/files/a%00.txt")),
    (404, get("/files/" + "x" * 300)),
    (404, get("/files/broken.txt")),
    (404, get("/files/out.txt")),
    (405, post("/files/a.txt", body=b"x" * 1000)),
    (405, delete("/files/none.txt")),
    (405, options("/files/a.txt")),
    ({307, 404}, get("/files")),
]


@case([*FOUND, *NOT_FOUND, (404, get("/files/")), (404, get("/files/deep"))], wild=False)
def files_of_a_folder(trace: Trace) -> FastAPI:
    return files()


@case(
    [
        *FOUND,
        *NOT_FOUND,
        (200, get("/files/")),
        (200, head("/files/")),
        (307, get("/files/deep")),
        (307, get("/files/deep?q=1", {"Host": "other.test:8000"})),
        (200, get("/files/deep/")),
        (304, get("/files/deep/", SINCE)),
        (404, get("/files/deep/empty")),
        (404, get("/files/deep/empty/", SINCE)),
    ],
    wild=False,
)
def files_of_a_site(trace: Trace) -> FastAPI:
    return files(html=True)


@case([(200, get("/files/out.txt")), (200, get("/files/in.txt")), (404, get("/files/broken.txt"))], wild=False)
def files_behind_links(trace: Trace) -> FastAPI:
    return files(follow_symlink=True)


@case(
    [(200, get("/")), (200, get("/a.txt")), (404, get("/b.txt")), (200, get("/api")), (405, post("/api"))],
    wild=False,
    fallback=["GET /never"],
)
def a_site_at_the_root(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/api")(lambda: "api")
    app.mount("/", StaticFiles(directory=folder(app) / "site", html=True))
    app.get("/never")(lambda: "never")
    return app


@case([(500, get("/files/a.txt")), (500, get("/files/none")), (200, get("/own"))], wild=False)
def files_of_no_folder(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.mount("/files", StaticFiles(directory="/no/such/folder", check_dir=False))
    app.get("/own")(lambda: "own")
    return app


@case([(404, get("/files/none")), (405, post("/files/a.txt")), (200, get("/files/a.txt"))], wild=False)
def files_and_handlers(trace: Trace) -> FastAPI:
    app = files()

    @app.exception_handler(404)
    def missing(request: Request, error: Exception):
        trace("missing", request.scope["root_path"], request.url.path)
        return PlainTextResponse("missing", 404)

    @app.exception_handler(LookupError)
    async def never(request: Request, error: Exception):
        trace("never")
        return PlainTextResponse("never")

    return app


@case([(404, get("/files/none")), (405, post("/files/a.txt")), (200, get("/files/a.txt"))], wild=False)
def files_and_a_handler_that_raises(trace: Trace) -> FastAPI:
    from starlette.exceptions import HTTPException as Plain

    app = files()

    @app.exception_handler(Plain)
    async def handled(request: Request, error: Plain):
        trace("handled", error.status_code)
        return JSONResponse(error.detail, error.status_code, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException):
        trace("other")
        return JSONResponse("other", 400)

    return app


ORIGIN = {"Origin": "http://a.test"}


@case(
    [
        (200, get("/files/a.txt", ORIGIN)),
        (404, get("/files/none", ORIGIN)),
        (405, post("/files/a.txt", ORIGIN)),
        (304, get("/files/a.txt", {**ORIGIN, **SINCE})),
        (200, options("/files/a.txt", {**ORIGIN, "Access-Control-Request-Method": "GET"})),
    ],
    wild=False,
)
def files_for_other_origins(trace: Trace) -> FastAPI:
    app = files()
    app.add_middleware(CORSMiddleware, allow_origins=["http://a.test"])
    return app


@case([*FOUND, *NOT_FOUND], wild=False)
def files_under_middleware(trace: Trace) -> FastAPI:
    class Noting(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            trace(response.status_code, request.scope.get("root_path"), "endpoint" in request.scope)
            return response

    app = files()
    app.add_middleware(Noting)
    return app


@case(
    [
        *FOUND,
        (200, get("/files/index.html", {"Accept-Encoding": "gzip"})),
        (200, get("/files/deep/", {"Accept-Encoding": "gzip"})),
        (307, get("/files/deep", ORIGIN)),
        (404, get("/files/none", {**ORIGIN, "Accept-Encoding": "gzip"})),
        (304, get("/files/a.txt", {**ORIGIN, **SINCE})),
        (200, options("/files/a.txt", {**ORIGIN, "Access-Control-Request-Method": "GET"})),
        (200, get("/files/own", {"X-Path": "/files/a.txt"})),
        (200, get("/files/a.txt", {"X-Path": "/files/own"})),
        (404, get("/files/a.txt", {"X-Path": "/files/none"})),
        (405, post("/files/a.txt", body=b"x")),
    ],
    wild=False,
    # The time in gzip's header differs by nature.
    mask=(rb"(?s)\A\x1f\x8b\x08\x00....",),
)
def files_under_several(trace: Trace) -> FastAPI:
    app = files(html=True)
    app.add_middleware(GZipMiddleware, minimum_size=5)

    @app.middleware("http")
    async def changes(request: Request, call_next: Any) -> Response:
        if "x-path" in request.headers:
            request.scope["path"] = request.headers["x-path"]
        response: Response = await call_next(request)
        names = ("root_path", "app_root_path", "path_params")
        trace(response.status_code, [request.scope.get(name) for name in names], "endpoint" in request.scope)
        response.headers["X-Seen"] = "1"
        return response

    app.add_middleware(CORSMiddleware, allow_origins=["http://a.test"])
    return app


@case([(418, get("/files/a.txt")), (200, get("/more/a.txt")), (200, get("/deep/x/a.txt"))], wild=False, fallback=["*"])
def files_of_another_class(trace: Trace) -> FastAPI:
    class Picky(StaticFiles):
        async def get_response(self, path: str, scope: Any) -> Response:
            trace("picky", path)
            return PlainTextResponse("picky", 418)

    app = FastAPI()
    site = folder(app) / "site"
    app.mount("/files", Picky(directory=site))
    given = StaticFiles(directory=site)
    given.lookup_path = given.lookup_path  # type: ignore[method-assign]
    app.mount("/more", given)
    app.mount("/deep/{name}", StaticFiles(directory=site))
    return app


@case(
    [
        ({200, 404}, get("/files/a.txt")),
        (200, get("/root/files/a.txt")),
        ({307, 404}, get("/files/deep")),
        (307, get("/root/files/deep")),
    ],
    wild=False,
)
def files_below_a_root_path(trace: Trace) -> FastAPI:
    app = files(html=True)
    app.root_path = "/root"
    return app
