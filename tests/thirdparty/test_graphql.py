"""strawberry-graphql as its documentation of FastAPI shows: context from dependencies, uploads, and subscriptions."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Response, WebSocket


def library() -> FastAPI:
    import strawberry
    from strawberry.dataloader import DataLoader
    from strawberry.fastapi import BaseContext, GraphQLRouter

    batches: list[list[int]] = []

    async def load(keys: list[int]) -> list[str]:
        batches.append(keys)
        return [f"book {key}" for key in keys]

    class Context(BaseContext):
        def __init__(self, reader: str) -> None:
            super().__init__()
            self.reader = reader
            self.books = DataLoader(load_fn=load)

    async def reader(token: str | None = Header(None), websocket: WebSocket = None) -> str:  # type: ignore[assignment]
        if token == "refused":
            raise HTTPException(401, "no such reader")
        return token or "nobody"

    async def context(who: str = Depends(reader)) -> Context:
        return Context(who)

    Info = strawberry.Info[Context, None]

    @strawberry.type
    class Query:
        @strawberry.field
        async def book(self, info: Info, number: int) -> str:
            return await info.context.books.load(number)

        @strawberry.field
        def reader(self, info: Info, response: str | None = None) -> str:
            if response is not None:
                assert isinstance(info.context.response, Response)
                info.context.response.headers["x-reader"] = response
            return info.context.reader

        @strawberry.field
        def broken(self) -> int:
            raise ValueError("a page is missing")

        @strawberry.field
        def batches(self) -> list[list[int]]:
            return batches

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def count(self, info: Info, target: int) -> AsyncIterator[str]:
            for number in range(target):
                yield f"{info.context.reader} {number}"
                await asyncio.sleep(0)

    schema = strawberry.Schema(Query, subscription=Subscription)
    app = FastAPI()
    app.include_router(GraphQLRouter[Context, None](schema, context_getter=context), prefix="/graphql")
    return app


def test_context_from_dependencies_batches_and_errors(serve: Any, on_uvicorn: Any) -> None:
    def ask(client: Any) -> list[Any]:
        def query(text: str, token: str = "ann") -> Any:
            reply = client.post("/graphql", json={"query": text}, headers={"token": token})
            return reply.status_code, reply.headers.get("x-reader"), reply.json()

        return [
            query("{ a: book(number: 1) b: book(number: 2) c: book(number: 1) }"),
            query("{ batches }"),
            query('{ reader(response: "told") }'),
            query("{ reader broken }"),
            query("{ reader }", "refused"),
            query("{ broken", "ann"),
        ]

    found = ask(serve(library()))
    assert found == ask(on_uvicorn(library()))
    assert found[0][2] == {"data": {"a": "book 1", "b": "book 2", "c": "book 1"}}
    assert found[1][2] == {"data": {"batches": [[1, 2]]}}
    assert found[2][:2] == (200, "told")
    assert found[4][0] == 401


@pytest.mark.parametrize("protocol", ["graphql-transport-ws", "graphql-ws"])
def test_subscriptions_over_a_websocket(serve: Any, protocol: str) -> None:
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    client = serve(library())
    start, data = ("subscribe", "next") if protocol == "graphql-transport-ws" else ("start", "data")
    url = str(client.base_url.copy_with(scheme="ws").join("/graphql"))
    with connect(url, subprotocols=[Subprotocol(protocol)], additional_headers={"token": "ann"}) as socket:

        def say(**message: Any) -> None:
            socket.send(json.dumps(message))

        def hear() -> Any:
            return json.loads(socket.recv(timeout=20))

        assert socket.subprotocol == protocol
        say(type="connection_init")
        assert hear()["type"] == "connection_ack"
        say(id="1", type=start, payload={"query": "subscription { count(target: 3) }"})
        heard = [hear() for _ in range(4)]
        assert [each["payload"]["data"]["count"] for each in heard[:3]] == ["ann 0", "ann 1", "ann 2"]
        assert [each["type"] for each in heard] == [data] * 3 + ["complete"]
        say(id="2", type=start, payload={"query": "subscription { none }"})
        assert hear()["type"] == "error"
