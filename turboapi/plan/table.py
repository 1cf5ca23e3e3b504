"""The route table that the engine reads, and the answers that it gives by itself."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException

from .cors import CorsHeaders
from .entry import Entry
from .facts import RouteFacts
from .internals import Stack, drive, own_handlers

__all__ = ["Statics", "table"]


class Statics:
    """Ready answers to requests that no route takes, where FastAPI's own handler makes them."""

    def __init__(self, app: Any, stack: Stack, cors: CorsHeaders | None, *, hosts: bool) -> None:
        """hosts: there are Host routes, which may take what no other route does."""
        self._cors = cors
        handlers = stack.exceptions._exception_handlers
        statuses = stack.exceptions._status_handlers
        self._handler = own_handlers()[0]
        own = handlers.get(HTTPException) is self._handler
        # With a body limit, the answer depends on the request's Content-Length.
        self._usable = own and not stack.limited and not hosts
        self._statuses = statuses
        self._allowed: dict[str, dict[str, Any]] = {}
        default = app.router.default
        self._default = getattr(default, "__func__", None) is type(app.router).not_found
        self._low = bool(getattr(app.router, "_low_priority_routes", None))
        # What no route of the table matches is for the router's default, and nothing else is known of it.
        self.complete = not (hosts or self._low or getattr(app.router, "form_limits", None))

    def not_found(self) -> dict[str, Any] | None:
        """Return the 404, or None where the application has its own way."""
        if not self._usable or not self._default or self._low or 404 in self._statuses:
            return None
        return self._answer(HTTPException(status_code=404))

    def not_allowed(self, facts: RouteFacts) -> dict[str, Any] | None:
        """Return the 405 of a route that matches the path but not the method."""
        if not self._usable or facts.methods is None or facts.mounted is not None or 405 in self._statuses:
            return None
        known = self._allowed.get(facts.allow)
        if known is None:
            known = self._answer(HTTPException(status_code=405, headers={"Allow": facts.allow}))
            self._allowed[facts.allow] = known
        return known

    def _answer(self, exc: HTTPException) -> dict[str, Any]:
        response = drive(self._handler(None, exc))
        raw = response.raw_headers
        if self._cors is not None:
            raw = self._cors(None, raw, False)
        fields = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in raw]
        return {"status": response.status_code, "fields": fields, "body": bytes(response.body).decode()}


def table(
    version: int,
    found: list[tuple[RouteFacts, Entry | None]],
    statics: Statics | None,
    *,
    leftovers: int = 0,
    cors: bool,
    redirect_slashes: bool,
    root_path: str,
) -> bytes:
    """Return the table's JSON. Plans are numbered in the order of the entries.

    statics: None where no answer is ready. leftovers: so many plans follow those of the routes; see `Chain.leftovers`.
    """
    routes: list[dict[str, Any]] = []
    sockets: list[dict[str, Any]] = []
    plans: list[dict[str, Any]] = []
    for facts, entry in found:
        if facts.kind == "host":
            continue  # the routes behind it look whether it takes their requests
        if facts.kind == "barrier":
            routes.append({"barrier": True})
            sockets.append({"barrier": True})
        elif facts.kind == "mount":
            routes.append({"path": facts.path, "mount": True, "plan": _planned(plans, entry)})
            sockets.append({"path": facts.path, "mount": True, "plan": -1})
        elif facts.kind == "websocket":
            if facts.table_path:
                sockets.append({"barrier": True})
                continue
            sockets.append({"path": facts.path, "plan": _planned(plans, entry)})
        elif facts.kind == "loose":
            # Any method: whether the path matches at all is for the application to say.
            routes.append({"path": facts.table_path, "methods": None, "plan": -1, "partial": None})
        else:
            routes.append(
                {
                    "path": facts.path,
                    "methods": list(facts.methods) if facts.methods is not None else None,
                    "plan": _planned(plans, entry),
                    "partial": statics.not_allowed(facts) if statics is not None else None,
                }
            )
    rest = range(len(plans), len(plans) + leftovers)
    plans += [{"id": plan, "body": "none", "max_body": None, "params": []} for plan in rest]
    made = {
        "version": version,
        "cors": cors,
        "redirect_slashes": redirect_slashes,
        "root_path": root_path,
        "not_found": statics.not_found() if statics is not None else None,
        "rest": rest[0] if rest else None,
        "missing": rest[1] if rest[1:] else None,
        "routes": routes,
        "sockets": sockets,
        "plans": plans,
    }
    return json.dumps(made, ensure_ascii=False).encode()


def _planned(plans: list[dict[str, Any]], entry: Entry | None) -> int:
    """Add an entry's plan; return its number, -1 for none."""
    if entry is None:
        return -1
    plan = len(plans)
    form = {} if entry.form is None else {"form": entry.form}
    params = list(entry.params)
    plans.append({"id": plan, "body": entry.body, "max_body": entry.max_body, "params": params, **form})
    return plan
