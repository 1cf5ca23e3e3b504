"""Forms: limits, and how parts become Starlette's form."""

import inspect
import os
import tempfile
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import starlette.requests
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, File, Form, UploadFile
from pydantic import AfterValidator, BaseModel
from starlette.formparsers import MultiPartParser

from turboapi.plan import compile_app, internals
from turboapi.plan.form import _take
from turboapi.plan.internals.forms import form_data, form_limits, spool_size

stacked = pytest.mark.skipif(internals.files_stack() is None, reason="files are closed before the answer")
limits_forms = pytest.mark.skipif("form_limits" not in inspect.signature(APIRouter).parameters, reason="came later")


class Declined(Exception):
    pass


@pytest.fixture
def on_disk() -> Iterator[int]:
    """The descriptor of a file without a name, as the engine has it."""
    fd, name = tempfile.mkstemp()
    os.unlink(name)
    os.pwrite(fd, b"x" * (spool_size() + 1), 0)
    yield fd
    os.close(fd)


def outcome(app: FastAPI, path: str) -> str:
    return next(each.outcome for each in compile_app(app).report if each.path == path)


def test_a_small_file_is_in_memory() -> None:
    form = form_data([("a", "1"), ("f", "x.txt", [(b"Content-Type", b"text/plain")], b"hello", 5), ("a", "2")])
    upload = form["f"]
    assert isinstance(upload, starlette.datastructures.UploadFile)
    assert form.multi_items() == [("a", "1"), ("f", upload), ("a", "2")]
    assert (upload.filename, upload.size, upload.content_type) == ("x.txt", 5, "text/plain")
    assert upload.headers.raw == [(b"content-type", b"text/plain")]
    assert upload._in_memory
    assert upload.file.tell() == 0
    assert upload.file.read() == b"hello"
    upload.file.close()


def test_a_large_file_is_the_engines_own(on_disk: int) -> None:
    form = form_data([("f", "", [], on_disk, spool_size() + 1)])
    upload: Any = form["f"]
    assert not upload._in_memory
    assert upload.file.tell() == 0
    assert os.path.sameopenfile(upload.file.fileno(), on_disk)
    assert upload.file.fileno() != on_disk
    assert not os.get_inheritable(upload.file.fileno())
    assert upload.file.read(4) == b"xxxx"
    assert upload.file.seek(0, 2) == spool_size() + 1
    upload.file.write(b"more")
    upload.file.seek(-5, 1)
    assert upload.file.read() == b"xmore"
    upload.file.close()
    os.fstat(on_disk)  # the engine closes its own


def test_a_form_that_cannot_be_made_leaves_no_file(on_disk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    with pytest.raises(OSError):
        form_data([("f", "", [], on_disk, 1), ("g", "", [], 1 << 20, 1)])
    if before:
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_form_that_is_declined_is_closed(on_disk: int) -> None:
    app = FastAPI()

    @app.post("/")
    def wants(f: UploadFile, n: Annotated[int, Form()]) -> None: ...

    class Proxy:
        def form(self) -> list[Any]:
            return [("f", "x", [], on_disk, 1), ("n", "none")]

    fields = app.routes[-1].dependant.body_params  # type: ignore[attr-defined]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Declined):
        _take(Declined, True, [fields], True, Proxy())
    with pytest.raises(Declined):
        _take(Declined, False, [fields], True, Proxy())
    assert len(os.listdir("/proc/self/fd")) == before


def test_limits_are_the_parsers_own() -> None:
    found = form_limits({}, None)
    assert (found["files"], found["fields"], found["spool"]) == (1000, 1000, 1 << 20)
    assert found["dir"] == tempfile.gettempdir()
    inherited = form_limits({"max_files": 1, "max_fields": 2}, {"max_fields": float("inf"), "max_part_size": 3})
    assert (inherited["files"], inherited["fields"], inherited["part"]) == (1, None, 3)


@limits_forms
def test_limits_come_from_all_routers_around_a_route() -> None:
    app = FastAPI(form_limits={"max_fields": 9, "max_files": 9, "max_part_size": 9})
    outer, inner = APIRouter(form_limits={"max_fields": 8, "max_files": 8}), APIRouter()

    @inner.post("/x", form_limits={"max_fields": 7})
    def x(a: Annotated[str, Form()]) -> None: ...

    outer.include_router(inner)
    app.include_router(outer)
    found = b'"form": {"files": 8, "fields": 7, "part": 9, "url_fields": 7, "url_part": 9'
    assert found in compile_app(app).table


def test_a_changed_limit_of_starlettes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.post("/")
    def wants(a: Annotated[str, Form()]) -> None: ...

    name = "spool_max_size" if hasattr(MultiPartParser, "spool_max_size") else "max_file_size"
    first = compile_app(app)
    assert (MultiPartParser, name) in first.watch.attrs
    assert b'"spool": 1048576' in first.table
    monkeypatch.setattr(MultiPartParser, name, 77)
    assert b'"spool": 77' in compile_app(app).table


def test_a_replaced_parser_makes_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.post("/")
    def wants(a: Annotated[str, Form()]) -> None: ...

    class Parser(MultiPartParser):
        pass

    monkeypatch.setattr(starlette.requests, "MultiPartParser", Parser)
    assert outcome(app, "/") == "fallback: Starlette's form parsers were replaced"


def test_which_fields_take_files() -> None:
    class Model(BaseModel):
        f: list[UploadFile]

    class Plain(BaseModel):
        name: str

    app = FastAPI()

    @app.post("/")
    def wants(
        a: UploadFile,
        b: Annotated[bytes, File()],
        c: Annotated[Model, Form()],
        d: Annotated[Plain, Form()],
        e: Annotated[str, Form()],
    ) -> None: ...

    fields = app.routes[-1].dependant.body_params  # type: ignore[attr-defined]
    params = internals.fields.params_of(fields)  # type: ignore[attr-defined]
    assert {each.name: internals.may_have_files(each) for each in params} == {
        "a": True,
        "b": True,
        "c": True,
        "d": False,
        "e": False,
    }


def test_files_need_the_stack_that_closes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.post("/")
    def wants(a: UploadFile) -> None: ...

    if internals.files_stack() is None:
        assert outcome(app, "/") == "fallback: files are closed before the answer in this FastAPI"
    else:
        assert outcome(app, "/") == "compiled"


def lanes(app: FastAPI) -> list[str]:
    plan = compile_app(app).plans[-1]
    return [stage.lane for stage in plan.stages]


@stacked
@pytest.mark.parametrize(
    ("kind", "expected"),
    [(Annotated[bytes, File()], ["call", "loop"]), (list[UploadFile], ["loop"]), (Annotated[str, Form()], ["loop"])],
)
def test_files_are_not_read_on_the_loop(kind: Any, expected: list[str]) -> None:
    app = FastAPI()

    async def dependency() -> None: ...

    async def wants(a: kind, d: Annotated[None, Depends(dependency)]) -> None: ...

    def works(a: kind) -> None: ...

    app.post("/")(wants)
    assert lanes(app) == expected
    app = FastAPI()
    app.post("/")(works)
    assert lanes(app) == ["call"]


@stacked
def test_what_would_read_files_on_the_loop_is_left_to_fastapi() -> None:
    app = FastAPI()

    def check(value: bytes) -> bytes:
        return value

    @app.post("/checked")
    async def checked(a: Annotated[bytes, AfterValidator(check), File()]) -> None: ...

    @app.post("/lasting")
    async def lasting(a: Annotated[bytes, File()], tasks: BackgroundTasks) -> None: ...

    @app.post("/threads")
    def threads(a: Annotated[bytes, AfterValidator(check), File()], tasks: BackgroundTasks) -> None: ...

    assert outcome(app, "/checked") == "fallback: content of files that functions of the application validate"
    assert outcome(app, "/lasting") == "fallback: content of files in an async route that goes on after its answer"
    assert outcome(app, "/threads") == "compiled"
