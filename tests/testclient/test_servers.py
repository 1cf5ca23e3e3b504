"""The client's server: its thread, loop and portal, when it starts and ends, and many of them at once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from tests.conftest import eventually
from tests.testclient.both import Both, TestClient
from turboapi.engine import _load

_earlier: set[threading.Thread] = set()


def servers() -> list[threading.Thread]:
    """The threads of clients' servers, but for those that an earlier test has left."""
    return [
        thread for thread in threading.enumerate() if thread.name == "turboapi-testclient" and thread not in _earlier
    ]


@pytest.fixture(autouse=True)
def only_its_own_servers() -> Iterator[None]:
    """A client that a test has left open ends its server a moment after it is forgotten."""
    _earlier.update(servers())
    yield
    _earlier.clear()


def app_named(name: str = "one") -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, Any]:
        return {"name": name, "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0]}

    @app.get("/call")
    def call() -> str:
        return threading.current_thread().name

    return app


def test_it_drives_the_engine() -> None:
    _load.engine()
    with TestClient(app_named()) as client:
        assert client.get("/call").json().startswith("turboapi-call")
        assert len(servers()) == 1
    assert servers() == []


def test_many_clients_at_once_in_threads() -> None:
    def use(number: int) -> list[str]:
        with TestClient(app_named(str(number))) as client:
            return [client.get("/").json()["name"] for _ in range(5)]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(use, range(24))) == [[str(number)] * 5 for number in range(24)]
    assert servers() == []


def test_one_client_used_by_many_threads() -> None:
    with TestClient(app_named()) as client, ThreadPoolExecutor(8) as threads:
        assert {reply.json()["name"] for reply in threads.map(client.get, ["/"] * 64)} == {"one"}


def test_inside_a_running_loop() -> None:
    async def main() -> str:
        with TestClient(app_named("inner")) as client:
            return str(client.get("/").json()["name"])

    assert asyncio.run(main()) == "inner"


def test_one_application_calls_another_through_a_client() -> None:
    inner = TestClient(app_named("inner"))
    outer = FastAPI()

    @outer.get("/def")
    def in_def() -> Any:
        return inner.get("/").json()

    @outer.get("/async")
    async def in_async() -> Any:
        return inner.get("/").json()

    with TestClient(outer) as client:
        assert client.get("/def").json()["name"] == client.get("/async").json()["name"] == "inner"
    inner.close()


def test_portal_runs_on_the_loop_of_the_application(both: Both) -> None:
    def make() -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            app.state.loop = asyncio.get_running_loop()
            yield

        return FastAPI(lifespan=lifespan)

    def do(client: Any) -> Any:
        async def same(app: FastAPI) -> bool:
            return asyncio.get_running_loop() is app.state.loop

        return client.portal.call(same, client.app), client.portal.start_task_soon(same, client.app).result()

    assert both(make, do) == (True, True)
    assert TestClient(make()).portal is None


@pytest.mark.parametrize(("uvloop", "module"), [(True, "uvloop"), (False, "asyncio")])
def test_loop_of_choice(uvloop: bool, module: str) -> None:
    with TestClient(app_named(), backend_options={"use_uvloop": uvloop}) as client:
        assert client.get("/").json()["loop"] == module


def test_own_loop_in_debug_mode() -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def make() -> asyncio.AbstractEventLoop:
        made.append(asyncio.new_event_loop())
        return made[-1]

    with TestClient(app_named(), backend_options={"loop_factory": make, "debug": True}) as client:
        assert client.get("/").status_code == 200
        assert made[0].get_debug()


def test_what_is_not_accepted_is_an_error() -> None:
    with pytest.raises(ValueError, match="runs on asyncio"):
        TestClient(app_named(), backend="trio")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unknown backend option 'speed'"):
        TestClient(app_named(), backend_options={"speed": 1})
    with pytest.raises(TypeError, match="'port' of the server is the test client's own"):
        TestClient(app_named(), server_settings={"port": 1})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TypeError, match="unknown setting 'limit_boody'"):
        TestClient(app_named(), server_settings={"limit_boody": 1})  # type: ignore[typeddict-unknown-key]


def test_settings_of_the_server_hold() -> None:
    app = FastAPI()

    @app.post("/")
    async def root(request: Request) -> int:
        return len(await request.body())

    client = TestClient(app, server_settings={"limit_headers": 1000})
    assert client.post("/", content=b"x").json() == 1
    assert client.get("/", headers={"X-Long": "x" * 2000}).status_code == 431
    client.close()


def test_without_with_one_server_serves_many_requests_until_the_client_is_closed() -> None:
    client = TestClient(app_named())
    assert servers() == []
    names = {client.get("/call").json() for _ in range(3)}
    assert len(servers()) == 1
    assert names
    client.close()
    assert servers() == []


def test_a_client_that_is_forgotten_ends_its_server() -> None:
    client = TestClient(app_named())
    client.get("/")
    del client
    gc.collect()
    eventually(lambda: servers() == [])


def test_a_client_can_be_used_before_within_and_after_with() -> None:
    client = TestClient(app_named())
    assert client.get("/").status_code == 200
    for _ in range(2):
        with client:
            assert client.get("/").status_code == 200
            assert len(servers()) == 1
        assert servers() == []
    assert client.get("/").status_code == 200
    client.close()


def test_only_the_clients_used_last_keep_a_server() -> None:
    clients = [TestClient(app_named(str(number))) for number in range(20)]
    for number, client in enumerate(clients):
        assert client.get("/").json()["name"] == str(number)
    eventually(lambda: len(servers()) <= 8)
    assert [client.get("/").json()["name"] for client in clients] == [str(number) for number in range(20)]
    for client in clients:
        client.close()
    eventually(lambda: servers() == [])


def test_routes_and_overrides_may_change_between_requests(both: Both) -> None:
    from fastapi import Depends

    def value() -> int:
        return 1

    def make() -> FastAPI:
        app = FastAPI()

        @app.get("/")
        def root(found: int = Depends(value)) -> int:
            return found

        return app

    def do(client: Any) -> list[Any]:
        app = client.app
        seen = [client.get("/").json()]
        app.dependency_overrides[value] = lambda: 2
        seen.append(client.get("/").json())
        app.dependency_overrides.clear()
        seen.append(client.get("/").json())
        app.add_api_route("/late", lambda: "late")
        seen.append(client.get("/late").json())
        return seen

    assert both(make, do) == [1, 2, 1, "late"]


def endless() -> FastAPI:
    app = FastAPI()
    app.state.ended = []

    @app.get("/")
    async def root() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            try:
                while True:
                    yield "more\n"
                    await asyncio.sleep(0.001)
            finally:
                app.state.ended.append("stream")

        return StreamingResponse(parts())

    return app


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    """An application that never looks whether its client is still there."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one", "more_body": True})
    await asyncio.Event().wait()


def test_an_answer_that_is_not_read_to_its_end_is_cancelled(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.stream("GET", "/") as response:
            first = next(response.iter_lines())
        return first, list(client.app.state.ended)

    assert both(endless, do) == ("more", ["stream"])
    client = both.client(deaf)
    with client.stream("GET", "/") as response:
        assert next(response.iter_bytes()) == b"one"
    client.close()


def test_the_end_of_with_ends_what_is_still_read() -> None:
    app = endless()
    with TestClient(app) as client:
        response = client.send(client.build_request("GET", "/"), stream=True)
        assert next(response.iter_lines()) == "more"
    assert app.state.ended == ["stream"]
    assert servers() == []


@pytest.mark.parametrize("path", ["/def", "/async"])
def test_an_exit_in_a_handler_reaches_the_caller(path: str) -> None:
    app = app_named()

    @app.get("/def")
    def in_def() -> None:
        raise SystemExit(3)

    @app.get("/async")
    async def in_async() -> None:
        raise SystemExit(3)

    client = TestClient(app)
    with pytest.raises(SystemExit):
        client.get(path)
    assert client.get("/").status_code == 200  # by a new server
    with pytest.raises(SystemExit), client:
        client.get(path)
    client.close()


def test_an_answer_that_nobody_keeps_leaves_nothing(recwarn: pytest.WarningsRecorder) -> None:
    left = threading.Event()
    app = FastAPI()

    @app.get("/")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            try:
                while True:
                    yield "more"
                    await asyncio.sleep(0.001)
            finally:
                left.set()

        return StreamingResponse(parts())

    with TestClient(app) as client:
        response = client.send(client.build_request("GET", "/"), stream=True)
        assert next(response.iter_text()).startswith("more")
        del response
        gc.collect()
        assert left.wait(60)
    gc.collect()
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_sockets_that_a_test_forbids_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any, **options: Any) -> Any:
        raise OSError("no sockets")

    monkeypatch.setattr("socket.socket", forbidden)
    with TestClient(app_named()) as client:
        assert client.get("/").status_code == 200
