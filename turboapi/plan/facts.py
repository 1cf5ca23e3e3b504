"""What the compiler knows of a route, free of FastAPI's own classes.

`internals` makes these from an application; everything else reads them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = ["LOCATIONS", "Handler", "Location", "Mounted", "Node", "Output", "Param", "RouteFacts", "unbuilt"]

Location = Literal["path", "query", "header", "cookie"]

# In the order in which FastAPI validates them.
LOCATIONS: tuple[Location, ...] = ("path", "query", "header", "cookie")


class Param(NamedTuple):
    """One parameter that comes from the request, or one of the body's fields.

    name: the keyword argument. field: FastAPI's own field, opaque.
    schema: pydantic's core schema, None where pydantic has not built it.
    factory: the default is made by a function of the user's.
    """

    name: str
    field: Any
    adapter: Any
    schema: Mapping[str, Any] | None
    factory: bool


class Node(NamedTuple):
    """One callable with its parameters: the endpoint or a dependency, in FastAPI's tree.

    key: equal keys share one result within a request. name: the parent's keyword, None for
    `dependencies=[...]`. The *_name fields are the keywords under which FastAPI hands in its own objects.
    early: what is behind a `yield` runs before the response is sent. concurrency: FastAPI's limit for it, or None.
    """

    call: Callable[..., Any]
    kind: Literal["sync", "async", "yield", "async yield"]
    name: str | None
    key: Any
    use_cache: bool
    params: Mapping[Location, tuple[Param, ...]]
    body: tuple[Param, ...]
    children: tuple[Node, ...]
    request_name: str | None
    connection_name: str | None
    websocket_name: str | None
    response_name: str | None
    tasks_name: str | None
    scopes_name: str | None
    scopes: tuple[str, ...]
    early: bool
    concurrency: Any


class Output(NamedTuple):
    """How FastAPI makes a result into a response.

    field: the response model's field, None without one. dump_json: pydantic writes the JSON itself.
    options: include, exclude, by_alias and the others, as FastAPI passes them.
    """

    field: Any
    adapter: Any
    schema: Mapping[str, Any] | None
    options: Mapping[str, Any]
    status: int | None
    response_class: type[Any]
    dump_json: bool


class Handler(NamedTuple):
    """What FastAPI's own request handler of a route was made with.

    strict: a body without a Content-Type is no JSON.
    custom: a function that gets the Request and gives the response does all by itself, and `tree.call` is it: one that
    takes the place of FastAPI's, or FastAPI's own where the endpoint is a generator.
    """

    tree: Node
    has_body: bool
    form: bool
    embed: bool
    output: Output
    max_body: int | None
    strict: bool = False
    custom: bool = False
    form_limits: Mapping[str, Any] | None = None


def unbuilt(handler: Handler) -> bool:
    """Tell whether pydantic has yet to build a schema of a route's: what is made of the route now may not last."""
    output = handler.output
    return (output.field is not None and output.schema is None) or _unbuilt_below(handler.tree)


def _unbuilt_below(node: Node) -> bool:
    if any(param.schema is None for param in (*node.body, *itertools.chain.from_iterable(node.params.values()))):
        return True
    return any(_unbuilt_below(child) for child in node.children)


class Mounted(NamedTuple):
    """A FastAPI application below a path of the outermost one. prefix: that path. stack: its own middleware."""

    app: Any
    prefix: str
    stack: Any


class RouteFacts(NamedTuple):
    """One entry of the application's routes, in the order in which they are tried.

    kind: "api" (FastAPI's), "route" (Starlette's), "mount" (matched in the table, answered by the application),
    "loose" (the application has to look whether it matches what `table_path` does), "host" (it matches by the Host
    header, and stands in no table), "barrier" (nobody but the application can say what it matches), "websocket" (no
    request is for it; with a `table_path`, nobody but the application can say which handshake is).
    route: what the path, methods and convertors were read from. included: the router's inclusion, where it is lazy.
    allow: the Allow header of a 405. asgi: the application behind an "api", a "route" or a "websocket".
    why: the reason why all the others have none. mounted: the application that the route belongs to, where that is
    not the outermost one; `path` is the whole one then, `route` has the rest of it. hosts: Starlette's Host routes
    that are tried before this one.
    """

    kind: Literal["api", "route", "mount", "loose", "host", "barrier", "websocket"]
    route: Any
    included: Any
    path: str
    methods: tuple[str, ...] | None
    allow: str
    name: str
    asgi: Any
    why: str
    table_path: str = ""
    mounted: Mounted | None = None
    hosts: tuple[Any, ...] = ()
    form_limits: Mapping[str, Any] = MappingProxyType({})

    @property
    def title(self) -> str:
        """The route as people name it: "GET /items/{item_id}"."""
        return f"{'/'.join(self.methods or ('*',))} {self.path}"
