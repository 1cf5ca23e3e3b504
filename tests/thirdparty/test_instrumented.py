"""The same spans, metrics, log records and events as through uvicorn."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import fastapi.routing
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from starlette.background import BackgroundTask

from turboapi.plan import compile_app

# Where a server listens, who asks, and times differ from run to run.
_OWN = ("net.peer.port", "client.port", "net.host.port", "server.port", "http.host", "http.url", "http.server_name")


class Item(BaseModel):
    n: int


# Requests that `ask` sends.
REQUESTS = 13


class _Waited(InMemorySpanExporter):
    """An exporter whose spans can be waited for: a request is over for its client before it is for the server."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = threading.Condition()

    def export(self, spans: Any) -> Any:
        with self._grown:
            result = super().export(spans)
            self._grown.notify_all()
        return result

    def _complete(self, tasks: int) -> bool:
        found = self.get_finished_spans()
        ended = sum("ackground" in span.name for span in found)
        # With telemetry of its own, what is mounted makes another one.
        return ended == tasks and sum(span.kind is trace.SpanKind.SERVER for span in found) >= REQUESTS

    def wait(self, tasks: int) -> None:
        with self._grown:
            complete = self._grown.wait_for(lambda: self._complete(tasks), 20)
        assert complete, [span.name for span in self.get_finished_spans()]


class Seen:
    """What an application tells OpenTelemetry, without times and identities."""

    def __init__(self) -> None:
        self._spans = _Waited()
        self._logs = InMemoryLogRecordExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers = LoggerProvider()
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.meters = MeterProvider([self._metrics])

    def spans(self, *, tasks: int) -> list[Any]:
        """Name, name of the parent, kind, status, attributes and events of each span; tasks: how many have one."""
        self._spans.wait(tasks)
        found = self._spans.get_finished_spans()
        names = {span.context.span_id: span.name for span in found}
        told = [
            (
                span.name,
                None if span.parent is None else names.get(span.parent.span_id, hex(span.parent.span_id)),
                span.kind,
                span.status.status_code,
                span.status.description,
                _plain(span.attributes),
                [(event.name, sorted(event.attributes or ())) for event in span.events],
            )
            for span in found
        ]
        return sorted(told, key=str)  # those of tasks end while the next request runs

    def logs(self) -> list[Any]:
        """Name, severity, text and attributes of each record."""
        records = [each.log_record for each in self._logs.get_finished_logs()]
        return [
            (each.event_name, each.severity_text, each.body, sorted(_plain(each.attributes)), bool(each.span_id))
            for each in records
        ]

    def metrics(self) -> list[Any]:
        """Name, unit, attributes and count of each series."""
        data = self._metrics.get_metrics_data()
        series = [
            (metric.name, metric.unit, sorted(_plain(point.attributes).items()), getattr(point, "count", None))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            # Whoever asks may have been answered before the request is counted as over.
            if not metric.name.endswith("active_requests")
        ]
        return sorted(series, key=str)


def _plain(attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in (attributes or {}).items() if key not in _OWN}


def application(**settings: Any) -> FastAPI:
    app = FastAPI(**settings)

    async def dependency() -> Any:
        yield trace.get_current_span().is_recording()

    def sync_dependency(n: int = 0) -> int:
        return n

    @app.get("/items/{item_id}")
    async def read(
        item_id: int, inside: Annotated[bool, Depends(dependency)], n: Annotated[int, Depends(sync_dependency)]
    ) -> list[Any]:
        return [item_id, inside, n]

    def later() -> None: ...

    async def later_async() -> None: ...

    @app.post("/items", response_model=Item)
    def make(item: Item, tasks: BackgroundTasks) -> Item:
        tasks.add_task(later)
        tasks.add_task(later_async)
        return item

    @app.get("/later")
    async def task() -> Response:
        return PlainTextResponse("later", background=BackgroundTask(later))

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(403)

    @app.get("/broken")
    def broken() -> None:
        raise LookupError("broken")

    @app.get("/broken/async")
    async def broken_async(request: Request) -> None:
        raise LookupError("broken")

    sub = FastAPI(**settings)
    sub.get("/in/{n}")(lambda n: n)
    app.mount("/sub", sub)
    return app


def ask(client: Any) -> list[Any]:
    """Send one request of each kind; return the answers."""
    # Uvicorn ends a connection with an exception, and says so too late.
    client.headers["connection"] = "close"
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    replies = [
        client.get("/items/1?n=5&sig=secret", headers=parent),
        client.get("/items/x"),
        client.post("/items", json={"n": 1}),
        client.post("/items", json={"n": "x"}),
        client.get("/later"),
        client.get("/refused"),
        client.get("/broken"),
        client.get("/broken/async"),
        client.get("/none"),
        client.put("/items"),
        client.get("/items/1/", follow_redirects=False),
        client.get("/sub/in/5"),
        client.get("/openapi.json"),
    ]
    assert len(replies) == REQUESTS
    return [(reply.status_code, reply.text) for reply in replies]


Serve = Callable[[Any], Any]


def test_fastapis_own_telemetry_tells_the_same_as_through_uvicorn(serve: Serve, on_uvicorn: Serve) -> None:
    told = []
    for server in (on_uvicorn, serve):
        seen = Seen()
        providers = {"tracer_provider": seen.tracers, "meter_provider": seen.meters, "logger_provider": seen.loggers}
        answers = ask(server(application(telemetry=providers)))
        told.append((answers, seen.spans(tasks=2), seen.logs(), seen.metrics()))
    theirs, ours = told
    assert ours == theirs
    assert len(ours[1]) > 20
    assert len(ours[2]) >= 4
    assert len(ours[3]) >= 8


@pytest.mark.parametrize("everywhere", [True, False])
def test_an_instrumented_application_tells_the_same_as_through_uvicorn_and_runs_compiled(
    serve: Serve, on_uvicorn: Serve, everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    for server in (on_uvicorn, serve):
        seen = Seen()
        if everywhere:
            # FastAPI's own telemetry is on for all applications then, and stands aside for the instrumentation.
            monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", seen.tracers)
        app = application()
        FastAPIInstrumentor.instrument_app(app, tracer_provider=seen.tracers, meter_provider=seen.meters)
        try:
            answers = ask(server(app))
            outcomes = {report.path: report.outcome for report in compile_app(app).report}
        finally:
            FastAPIInstrumentor.uninstrument_app(app)
        told.append((answers, seen.spans(tasks=3), seen.metrics()))
    theirs, ours = told
    assert ours == theirs
    if getattr(fastapi.routing.get_request_handler, "__module__", "") != "fastapi.routing":
        return  # Sentry's SDK was here
    assert {outcomes[path] for path in ("/refused", "/broken", "/broken/async")} == {"compiled"}
    assert len(ours[1]) > 20


class _Events:
    """What Sentry was told."""

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._grown = threading.Condition()

    def add(self, events: list[Any]) -> None:
        with self._grown:
            self._events += events
            self._grown.notify_all()

    def take(self) -> list[Any]:
        """Return what was told about all requests, in no order, and forget it."""
        with self._grown:
            assert self._grown.wait_for(lambda: self._transactions() == REQUESTS, 20), self._transactions()
            taken, self._events = self._events, []
        return sorted(map(_event, taken), key=str)

    def _transactions(self) -> int:
        return sum(event.get("type") == "transaction" for event in self._events)


@pytest.fixture
def sentry() -> Iterator[_Events]:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    events = _Events()

    class Kept(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            events.add([item.payload.json for item in envelope.items])

    # What it replaces stays replaced, so this is the last test here.
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Kept, traces_sample_rate=1.0)
    try:
        yield events
    finally:
        sentry_sdk.init()


def _event(event: Any) -> Any:
    """What an event says, without times, identities and addresses."""
    frames = [
        (value["type"], value["value"], [frame["function"] for frame in value["stacktrace"]["frames"]][-1:])
        for value in event.get("exception", {}).get("values", ())
    ]
    request = event.get("request", {})
    spans = [(span["op"], span["description"]) for span in event.get("spans", ())]
    trace_of = event.get("contexts", {}).get("trace", {})
    return (
        event.get("type"),
        re.sub(r":\d+/", "/", event.get("transaction") or ""),
        event.get("transaction_info"),
        frames,
        (request.get("method"), request.get("query_string"), request.get("data")),
        spans,
        (trace_of.get("op"), trace_of.get("status"), trace_of.get("origin")),
    )


def test_sentry_hears_the_same_as_through_uvicorn(serve: Serve, on_uvicorn: Serve, sentry: _Events) -> None:
    told = []
    for server in (on_uvicorn, serve):
        answers = ask(server(application()))
        told.append((answers, sentry.take()))
    theirs, ours = told
    assert ours == theirs
    assert len(ours[1]) >= 12
