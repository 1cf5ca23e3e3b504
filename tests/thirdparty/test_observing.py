"""Packages that watch an application: Prometheus, OpenTelemetry, Sentry; and slowapi, which limits it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response


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


def test_slowapi_says_in_header_fields_what_is_left(serve: Any, on_uvicorn: Any) -> None:
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.middleware import SlowAPIMiddleware

    def make() -> FastAPI:
        limiter = Limiter(
            key_func=lambda request: request.headers.get("x-key", "all"),
            default_limits=["3/hour"],
            headers_enabled=True,
            strategy="fixed-window",
        )
        app = FastAPI()
        app.state.limiter = limiter
        app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)  # type: ignore[arg-type]
        app.add_middleware(SlowAPIMiddleware)

        @app.get("/default")
        async def default(request: Request) -> str:
            return "default"

        @app.get("/own")
        @limiter.limit("1/hour;5/day")
        def own(request: Request, response: Response) -> str:
            return "own"

        @app.get("/free")
        @limiter.exempt  # type: ignore[untyped-decorator]
        async def free(request: Request) -> str:
            return "free"

        return app

    def ask(client: Any) -> list[Any]:
        paths = ["/default"] * 4 + ["/own"] * 2 + ["/free"] * 4
        replies = [client.get(path, headers={"x-key": key}) for key in ("ann", "bob") for path in paths]
        fields = ("x-ratelimit-limit", "x-ratelimit-remaining")
        return [(reply.status_code, [reply.headers.get(name) for name in fields], reply.text) for reply in replies]

    found = ask(serve(make()))
    assert found == ask(on_uvicorn(make()))
    assert [each[0] for each in found] == ([200] * 3 + [429] + [200, 429] + [200] * 4) * 2
    assert [each[1] for each in found[:3]] == [["3", "2"], ["3", "1"], ["3", "0"]]


def test_prometheus_measures_sizes_times_and_its_own_metrics(serve: Any) -> None:
    from prometheus_client import CollectorRegistry, Counter
    from prometheus_fastapi_instrumentator import Instrumentator, metrics

    app, registry = FastAPI(), CollectorRegistry()
    languages = Counter("languages", "Languages asked for.", ["language"], registry=registry)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    @app.post("/items")
    async def items(request: Request) -> int:
        return len(await request.body())

    def language(info: metrics.Info) -> None:
        languages.labels(info.request.headers.get("accept-language", "none")).inc()

    instrumentator = Instrumentator(
        registry=registry, excluded_handlers=["/metrics"], should_instrument_requests_inprogress=True
    )
    instrumentator.add(metrics.default(registry=registry)).add(language)
    instrumentator.instrument(app).expose(app, include_in_schema=False)
    client = serve(app)
    assert client.post("/items", content=b"x" * 100, headers={"Accept-Language": "de"}).json() == 100
    assert client.post("/items", content=b"x" * 20).json() == 20
    assert client.get("/broken").status_code == 500
    assert client.get("/none").status_code == 404
    text = client.get("/metrics").text
    for line in (
        'http_requests_total{handler="/items",method="POST",status="2xx"} 2.0',
        'http_requests_total{handler="/broken",method="GET",status="5xx"} 1.0',
        'http_requests_total{handler="none",method="GET",status="4xx"} 1.0',
        'http_request_size_bytes_sum{handler="/items"} 120.0',
        'http_response_size_bytes_sum{handler="/items"} 5.0',
        'http_request_duration_seconds_count{handler="/items",method="POST"} 2.0',
        'languages_total{language="de"} 1.0',
    ):
        assert line in text
    assert '"/metrics"' not in text
