"""Packages that watch an application: Prometheus, OpenTelemetry, Sentry; and slowapi, which limits it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request


def test_prometheus_counts_requests_by_route(serve: Any) -> None:
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    registry = CollectorRegistry()
    Instrumentator(registry=registry).instrument(app).expose(app)
    client = serve(app)
    for number in range(3):
        assert client.get(f"/items/{number}").json() == number
    assert client.get("/items/x").status_code == 422
    text = client.get("/metrics").text
    labels = 'handler="/items/{item_id}",method="GET",status='
    assert f'http_requests_total{{{labels}"2xx"}} 3.0' in text
    assert f'http_requests_total{{{labels}"4xx"}} 1.0' in text


def test_opentelemetry_makes_a_span_per_request(serve: Any) -> None:
    from opentelemetry import trace
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> bool:
        return trace.get_current_span().is_recording()

    @app.get("/def")
    def in_def() -> bool:
        return trace.get_current_span().is_recording()

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    try:
        client = serve(app)
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert client.get("/items/1", headers={"traceparent": parent}).json() is True
        assert client.get("/def").json() is True
    finally:
        FastAPIInstrumentor.uninstrument_app(app)
    spans = [span for span in exporter.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    assert [span.name for span in spans] == ["GET /items/{item_id}", "GET /def"]
    assert spans[0].context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert spans[0].attributes["http.route"] == "/items/{item_id}"
    assert spans[0].attributes["http.status_code"] == 200


@pytest.fixture
def sentry() -> Iterator[list[Any]]:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    events: list[Any] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            events.extend(item.payload.json for item in envelope.items)

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, traces_sample_rate=1.0)
    try:
        yield events
    finally:
        sentry_sdk.init()


def test_sentry_captures_exceptions_and_transactions(serve: Any, sentry: list[Any]) -> None:
    app = FastAPI()

    @app.get("/broken/{number}")
    async def broken(number: int) -> None:
        raise RuntimeError(f"broken {number}")

    @app.get("/def")
    def in_def() -> str:
        return threading.current_thread().name

    client = serve(app)
    assert client.get("/broken/7").status_code == 500
    assert client.get("/def").status_code == 200
    errors = [event for event in sentry if event.get("exception")]
    assert [error["exception"]["values"][-1]["value"] for error in errors] == ["broken 7"]
    assert errors[0]["transaction"] == "/broken/{number}"
    assert errors[0]["request"]["url"].endswith("/broken/7")
    transactions = [event["transaction"] for event in sentry if event.get("type") == "transaction"]
    assert transactions == ["/broken/{number}", "/def"]


def test_slowapi_refuses_what_is_too_much(serve: Any) -> None:
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.util import get_remote_address

    limiter = Limiter(key_func=get_remote_address, headers_enabled=False)
    app = FastAPI()
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]

    @app.get("/def")
    @limiter.limit("2/minute")
    def in_def(request: Request) -> str:
        return "def"

    @app.get("/async")
    @limiter.limit("3/minute")
    async def in_async(request: Request) -> str:
        return "async"

    client = serve(app)
    assert [client.get("/def").status_code for _ in range(4)] == [200, 200, 429, 429]
    replies = [client.get("/async") for _ in range(4)]
    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert "3 per 1 minute" in replies[-1].json()["error"]
