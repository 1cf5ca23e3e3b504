"""Generated Python: lines and the objects they name, made into functions.

The text is registered with `linecache`, so that tracebacks and debuggers show
it. Objects are bound as globals of the generated functions, so that routes of
the same shape share one text, which is compiled once.
"""

from __future__ import annotations

import builtins
import functools
import itertools
import keyword
import linecache
import re
import weakref
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any

__all__ = ["Source", "used_names"]

_numbers = itertools.count(1)
_WORD = re.compile(r"[^\W\d]\w*")


def used_names(lines: Iterable[str]) -> set[str]:
    """Return every identifier that occurs in the lines."""
    return {word for line in lines for word in _WORD.findall(line)}


class Source:
    """The objects that one route's generated functions refer to, and the making of the functions."""

    def __init__(self, title: str) -> None:
        self._title = title
        # Extension modules that import while the text runs (pydantic_core does) look for the builtins here.
        self._names: dict[str, Any] = {"__name__": "turboapi.plan.generated", "__builtins__": builtins}
        self._by_id: dict[tuple[int, str], str] = {}
        self._locals = itertools.count()

    def bind(self, value: Any, hint: str) -> str:
        """Return the global name under which the text can use `value`. Globals start with a capital letter."""
        hint = hint[:1].upper() + hint[1:]
        known = self._by_id.get((id(value), hint))
        if known is not None:
            return known
        name = hint if hint not in self._names and not keyword.iskeyword(hint) else f"{hint}_{len(self._names)}"
        self._names[name] = value
        self._by_id[id(value), hint] = name
        return name

    def local(self, hint: str) -> str:
        """Return a new local name: the hint and a number."""
        return f"{hint}{next(self._locals)}"

    def function(self, head: str, lines: Iterable[str]) -> Callable[..., Any]:
        """Compile `head` (such as "def entry(a, b):") with its lines."""
        text = "\n".join([head, *("    " + line for line in lines), ""])
        filename = f"<turboapi {self._title} #{next(_numbers)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        code = _compiled(text).replace(co_filename=filename)
        function = FunctionType(code, self._names, code.co_name)
        weakref.finalize(function, linecache.cache.pop, filename, None).atexit = False
        return function


@functools.lru_cache(maxsize=1024)
def _compiled(text: str) -> CodeType:
    """Return the code of the one function that the text defines. The text is our own; values enter by name only."""
    module = compile(text, "<turboapi>", "exec")
    return next(const for const in module.co_consts if isinstance(const, CodeType))
