"""WebSocket routes: the same conversations with an application's ASGI face and with its compiled routes."""

from __future__ import annotations

import pytest

from turboapi import Server

from .talk import Faces
from .talks import TALKS


@pytest.mark.parametrize("name", TALKS)
def test_conversation(name: str, transport: str) -> None:
    told = TALKS[name]
    with Faces(told.factory, transport, compiled=False) as own, Faces(told.factory, transport, compiled=True) as served:
        for talk in told.talks:
            assert served.hold(talk) == own.hold(talk), talk


def test_compiled_routes_do_not_run_the_application(transport: str) -> None:
    told = TALKS["ways_to_listen"]
    with Faces(told.factory, transport, compiled=True) as served:
        for talk in told.talks:
            served.hold(talk)
        assert served.fallbacks == 0


@pytest.mark.parametrize("name", TALKS)
def test_routes_are_compiled(name: str) -> None:
    from .trace import Trace

    told = TALKS[name]
    routes = [each for each in Server(told.factory(Trace())).routes() if each.methods == ("WEBSOCKET",)]
    assert routes
    found = {each.path for each in routes if each.outcome != "compiled"}
    assert told.fallback <= found <= told.fallback | told.sometimes, routes
