"""FastAPI's own telemetry: the same spans through both faces."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException

from ..case import case
from ..request import get, post
from ..trace import Trace


def provider_of(trace: Trace) -> Any:
    """A tracer provider that notes each span with its attributes, without clocks and identities."""
    from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext, TracerProvider

    class Span(NonRecordingSpan):
        def __init__(self, name: str, attributes: Any) -> None:
            super().__init__(SpanContext(1, 1, is_remote=False))
            trace("span", name, sorted((attributes or {}).keys()))

        def is_recording(self) -> bool:
            return True

        def set_attribute(self, key: str, value: Any) -> None:
            if key.startswith(("http.route", "http.response", "error")):
                trace("attribute", key, value)

        def update_name(self, name: str) -> None:
            trace("name", name)

        def end(self, end_time: int | None = None) -> None:
            trace("end")

    class Tracer(NoOpTracer):
        def start_span(self, name: str, *args: Any, attributes: Any = None, **more: Any) -> Span:
            return Span(name, attributes)

    class Provider(TracerProvider):
        def get_tracer(self, *args: Any, **more: Any) -> Tracer:
            return Tracer()

    return Provider()


@case(
    [(200, get("/items/5")), (422, get("/items/x")), (404, get("/none")), (418, get("/raises")), (200, post("/sync"))],
    since=("0.142.0", "telemetry"),
    wild=False,
    fallback=["*"],
)
def spans(trace: Trace) -> FastAPI:
    app = FastAPI(telemetry={"tracer_provider": provider_of(trace), "metrics": False, "logs": False})

    @app.get("/items/{n}")
    async def item(n: int, given: Annotated[int, Depends(lambda: 1)]):
        trace("endpoint")
        return n + given

    @app.get("/raises")
    async def raises():
        raise HTTPException(418)

    @app.post("/sync")
    def sync():
        return "sync"

    return app
