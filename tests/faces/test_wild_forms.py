"""Forms made of pieces, good and bad: both faces read them alike, small and large files, in memory and on disk.

FACES_EXAMPLES sets how many there are for each transport; the same ones each time.
"""

from __future__ import annotations

import gc
import os
from contextlib import closing
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, File, Form, UploadFile
from hypothesis import given
from hypothesis import strategies as st
from starlette.formparsers import MultiPartParser

from tests.conftest import eventually

from .both import Both
from .generate import always_these
from .request import Request, post
from .schema import weighted
from .test_wild import EXAMPLES
from .trace import Trace

# Starlette's parser leaves files to the garbage collector where the parser below it fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning"),
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc"),
]

SPOOL = 200
"""A file with more bytes goes to disk here."""

NAMES = ("a", "f", "g", "b", "ä", "", 'q"', "s\\")
TYPES = (
    "multipart/form-data; boundary=edge",
    "multipart/form-data; boundary=edge",
    "multipart/form-data; boundary=edge",
    'multipart/form-data; boundary="edge"',
    "multipart/form-data; boundary=edg",
    "multipart/form-data; charset=utf-8; boundary=edge",
    "multipart/form-data",
    "application/x-www-form-urlencoded",
)

contents = weighted(
    (4, st.binary(max_size=20)),
    (2, st.text(max_size=10).map(str.encode)),
    (
        2,
        st.sampled_from(
            [b"\r\n--edg", b"\r\n--edg\r", b"--edge", b"\r\n--edge", b"\r\n", b"--", b"\r", b"x\r\n\r\n--edgeedge"]
        ),
    ),
    (
        3,
        st.builds(
            lambda piece, n: piece * n, st.sampled_from([b"x", b"\r\n--edg", b"\r", b"\n-"]), st.integers(30, 600)
        ),
    ),
)


def part(name: str, filename: str | None, extra: bytes, content: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    return b"--edge\r\n" + head.encode() + extra + b"\r\n\r\n" + content + b"\r\n"


parts = st.builds(
    part,
    st.sampled_from(NAMES[:4] * 5 + NAMES),
    st.none() | st.sampled_from(["x.bin", "", "ä", 'q"', "a\\b"]),
    st.sampled_from([b"", b"", b"", b"\r\nContent-Type: text/plain", b"\r\nX: 1\r\nX: 2", b"\r\n folded", b"; x=y"]),
    contents,
)
wholes = st.lists(parts, max_size=6).map(lambda found: b"".join(found) + b"--edge--\r\n")
"""Forms as they should be, nearly."""

scraps = st.sampled_from(
    [b"--edge\r\n", b"--edge--\r\n", b"--edge", b"\r\n", b"\r\n\r\n", b": ", b"\xff", b'"', b"-", b"&a=1", b"%"]
)


@st.composite
def spoilt(draw: Any) -> bytes:
    """A form of which something is missing, or in which something is too much."""
    body = draw(wholes)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(body)))
        to = draw(st.sampled_from([at, at, at + 1, at + 2, at + 10, len(body)]))
        body = body[:at] + draw(scraps | st.just(b"")) + body[to:]
    return body


pairs = st.lists(
    st.sampled_from(
        [b"a=1", b"b=x+y", b"a=%C3%A4", b"a=%ff", b"f", b"=1", b"", b"b=%", b"a=\xc3\xa4", b"b==", b"a=1;b=2"]
    ),
    max_size=5,
).map(b"&".join)

requests = st.builds(
    lambda path, kind, body, chunks: post(path, {"Content-Type": kind}, body=body, chunks=chunks),
    st.sampled_from(["/files", "/bytes", "/text"]),
    st.sampled_from(TYPES),
    weighted((5, wholes), (3, spoilt()), (1, pairs), (1, st.lists(scraps, max_size=8).map(b"".join))),
    st.just([]) | st.lists(st.integers(1, 300), min_size=1, max_size=6),
)


def application(trace: Trace) -> FastAPI:
    app = FastAPI()

    def seen(upload: UploadFile) -> list[Any]:
        inner: Any = upload.file
        return [upload.filename, upload.size, upload.headers.items(), inner._rolled, repr(inner.read())]

    @app.post("/files")
    async def files(
        f: UploadFile | None = None, g: Annotated[list[UploadFile] | None, File()] = None, a: str = Form("")
    ) -> Any:
        trace("files")
        return [f and seen(f), [seen(each) for each in g or ()], a]

    @app.post("/bytes")
    async def whole(f: Annotated[bytes, File()] = b"", b: Annotated[list[bytes] | None, File()] = None) -> Any:
        trace("bytes")
        return [repr(f), [repr(each) for each in b or ()]]

    @app.post("/text")
    def text(a: Annotated[str, Form()], b: Annotated[list[str] | None, Form()] = None) -> Any:
        trace("text")
        return [a, b]

    return app


def nameless() -> int:
    """Open files that have no name any more."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        try:
            found += os.readlink(entry.path).endswith(" (deleted)")
        except OSError:
            continue
    return found


def test_forms_are_read_alike(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "spool_max_size" if hasattr(MultiPartParser, "spool_max_size") else "max_file_size"
    monkeypatch.setattr(MultiPartParser, name, SPOOL)
    before = nameless()
    with closing(Both(application, transport)) as both:

        @always_these(4 * EXAMPLES)
        @given(requests)
        def alike(asked: Request) -> None:
            both.ask(asked)

        alike()
    gc.collect()
    eventually(lambda: nameless() <= before, lambda: f"{nameless()} files are open, {before} before")
