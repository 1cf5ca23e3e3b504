"""Form bodies: from the parts that the engine found to the values of body parameters.

Starlette's FormData is made of them, and FastAPI's own function takes the values
out of it. As elsewhere nothing is refused here: a form that FastAPI would not
take is given to it as it came. Files are closed when FastAPI closes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from starlette.datastructures import FormData, UploadFile

from . import internals
from .draft import Draft
from .facts import Node, Param
from .plans import Fallback

__all__ = ["FormBody", "form_of"]


def form_of(draft: Draft, nodes: Sequence[Node], quiet: Callable[[Param], bool]) -> FormBody | Fallback:
    """Return how a route's form is read. `nodes` have body parameters; `quiet` ones may be validated twice."""
    why = internals.why_no_form()
    if why is not None:
        return Fallback(why)
    files = any(internals.may_have_files(param) for node in nodes for param in node.body)
    if files and internals.files_stack() is None:
        return Fallback("files are closed before the answer in this FastAPI")
    if files:
        # Whatever closes them stands on an exit stack of the scope.
        draft.shown = True
        draft.request()
    draft.reads = any(internals.reads_files(param) for node in nodes for param in node.body)
    draft.parses = True
    draft.form = internals.form_limits(draft.facts.form_limits, draft.handler.form_limits)
    return FormBody(draft, quiet, files=files)


class FormBody:
    """Adds the text that reads one route's form."""

    def __init__(self, draft: Draft, quiet: Callable[[Param], bool], *, files: bool) -> None:
        self._draft = draft
        self._quiet = quiet
        self._files = files
        self._fields: list[list[Any]] = []
        self._outs: list[str] = []

    def prologue(self) -> None:
        """Put the reading behind all other checks: what fails later finds no file open."""
        draft = self._draft
        bind = draft.source.bind
        take = partial(_take, draft.around.decline, self._files, self._fields, draft.handler.embed)
        outs = "".join(f" {out}," for out in self._outs)
        draft.checks.append(f"parsed,{outs} = {bind(take, 'take')}({draft.given('proxy')})")
        if "request" in draft.special:
            draft.checks += ["request._form = parsed", "request._stream_consumed = True"]
        if self._files:
            draft.checks.append(f"scope[{internals.files_stack()!r}].push_async_callback(parsed.close)")

    def add(self, node: Node, values: dict[str, str]) -> None:
        """Add the reading of one node's body parameters to the checks or, with the user's functions, later."""
        draft = self._draft
        fields = [param.field for param in node.body]
        out = draft.source.local("b")
        if all(self._quiet(param) for param in node.body):
            self._fields.append(fields)
            self._outs.append(out)
        else:
            call = f"{draft.source.bind(_to_args, 'to_args')}({draft.source.bind(fields, 'fields')}, parsed"
            draft.late += [f"{out}, found = {call}, {draft.handler.embed})", "errors += found"]
        for param in node.body:
            values[param.name] = f"{out}[{param.name!r}]"


def _take(decline: type[Exception], files: bool, nodes: list[list[Any]], embed: bool, proxy: Any) -> tuple[Any, ...]:
    """Return the form and the values of each node's fields. Raises `decline`, with no file left open."""
    parts = proxy.form()
    if not files and any(len(part) != 2 for part in parts):
        raise decline  # a file that nobody asked for
    form = internals.form_data(parts)
    try:
        found: list[Any] = [form]
        for fields in nodes:
            values, errors = _to_args(fields, form, embed)
            if errors:
                raise decline
            found.append(values)
        if files:
            proxy.form_taken()
        return tuple(found)
    except BaseException:
        _close(form)
        raise


def _close(form: FormData) -> None:
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            value.file.close()


def _to_args(fields: list[Any], form: FormData, embed: bool) -> tuple[dict[str, Any], list[Any]]:
    """FastAPI's own reading of a form. It reads files for bytes: here, since this is a call thread."""
    spooled = [value for _, value in form.multi_items() if isinstance(value, UploadFile) and not value._in_memory]
    for upload in spooled:
        vars(upload).update(read=partial(_now, upload.file.read), seek=partial(_now, upload.file.seek))
    try:
        return internals.body_to_args(fields, form, embed)
    finally:
        for upload in spooled:
            del vars(upload)["read"], vars(upload)["seek"]


async def _now(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)
