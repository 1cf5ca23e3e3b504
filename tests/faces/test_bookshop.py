"""The examples answer the same through both faces."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .both import Both
from .case import Case, run
from .faces import verdicts
from .generate import always_these, from_schema
from .request import Request, delete, get, head, options, patch, post, put
from .trace import Trace
from .verdicts import broken_promises

ROOT = Path(__file__).resolve().parents[2] / "examples" / "bookshop"

STAFF = {"X-API-Key": "let-me-in"}
PAGE = {"Origin": "http://localhost:5173"}
# Orders are dated.
CLOCK = rb'"placed_at":"[-0-9T:]{19}"'

NEW = {"isbn": "9781111111111", "title": "New \u00e9", "genre": "novel", "year": 2020, "price": "3.50", "author_id": 1}
ODYSSEY, SNARK = "9780140268867", "9780141192468"


def order(*lines: tuple[str, int], customer: str = "Ann") -> dict[str, Any]:
    return {"customer": customer, "lines": [{"isbn": isbn, "quantity": quantity} for isbn, quantity in lines]}


LOOKING = [
    (200, get("/")),
    (200, get("/health", PAGE)),
    (200, get("/books")),
    (200, get("/books?limit=3&offset=4", PAGE)),
    (422, get("/books?limit=0")),
    (422, get("/books?limit=x&offset=-1")),
    (307, get("/books/")),
    (200, get("/books/search?q=the&sort=price")),
    (200, get("/books/search?genre=poetry&genre=novel&limit=2", PAGE)),
    (200, get("/books/search?in_stock=false")),
    (200, get("/books/search?q=%E7%8C%AB")),
    (200, get("/books/search?offset=99999999999999999999")),
    (422, get("/books/search?genre=crime&sort=size")),
    (200, get("/books/genres")),
    (200, get(f"/books/{ODYSSEY}")),
    (404, get("/books/0", PAGE)),
    (200, get("/authors/")),
    (307, get("/authors")),
    (200, get("/authors/1")),
    (200, get("/authors/7")),
    (404, get("/authors/99999999999999999999")),
    (422, get("/authors/one")),
    (405, head("/books")),
    (405, put("/books", json={})),
    (404, get("/nowhere", PAGE)),
    (200, get("/docs")),
    (200, get("/openapi.json")),
    (200, options("/books", {**PAGE, "Access-Control-Request-Method": "POST"})),
    (400, options("/books", {"Origin": "http://evil.test", "Access-Control-Request-Method": "POST"})),
]

STAFF_WORK = [
    (401, post("/books", json=NEW)),
    (403, post("/books", {"X-API-Key": "guess"}, json=NEW)),
    (403, post("/books", {"X-API-Key": b"\xff"}, json=NEW)),
    (422, post("/books", STAFF, json={**NEW, "isbn": "1", "price": "0"})),
    (422, post("/books", STAFF, body=b"{")),
    (404, post("/books", STAFF, json={**NEW, "author_id": 99})),
    (201, post("/books", {**STAFF, **PAGE}, json=NEW)),
    (409, post("/books", STAFF, json=NEW)),
    (200, patch("/books/9781111111111", STAFF, json={"price": 4.25})),
    (422, patch("/books/9781111111111", STAFF, json={"genre": "poetry"})),
    (404, patch("/books/0", STAFF, json={})),
    (204, delete("/books/9781111111111", STAFF)),
    (404, delete("/books/9781111111111", STAFF)),
]

SELLING = [
    (200, post("/orders/quote", json={"lines": [{"isbn": ODYSSEY, "quantity": 3}, {"isbn": "9780000000000"}]})),
    (200, post("/orders/quote?currency=JPY", PAGE, json={"lines": [{"isbn": ODYSSEY}]})),
    (422, post("/orders/quote?currency=DM", json=[])),
    (201, post("/orders", json=order((ODYSSEY, 2), (ODYSSEY, 1)))),
    (409, post("/orders", json=order((ODYSSEY, 6)))),
    (409, post("/orders", PAGE, json=order((SNARK, 1)))),
    (404, post("/orders", json=order(("9780000000000", 1)))),
    (422, post("/orders", json=order())),
    (200, get("/orders/1")),
    (404, get("/orders/2")),
    (422, get("/orders/0")),
    (200, post("/orders/1/next")),
    (200, post("/orders/1/next")),
    (409, post("/orders/1/next")),
    (409, delete("/orders/1")),
    (201, post("/orders", json=order((ODYSSEY, 5), customer="\u674e"))),
    (200, delete("/orders/2")),
    (200, get(f"/books/{ODYSSEY}")),
    (409, delete(f"/books/{ODYSSEY}", STAFF)),
]

# Handlers whose session comes from a dependency with `yield`.
FALLBACK = frozenset({
    "POST /books",
    "PATCH /books/{isbn}",
    "DELETE /books/{isbn}",
    "POST /orders",
    "GET /orders/{order_id}",
    "POST /orders/{order_id}/next",
    "DELETE /orders/{order_id}",
})  # fmt: skip


@pytest.fixture
def shop(both: Callable[..., Both], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    """A shop for each face, with a database of its own."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("BOOKSHOP_DATABASE", str(tmp_path / "unused.sqlite3"))
    from bookshop.main import create_app
    from bookshop.settings import Settings

    numbers = itertools.count()

    def factory(trace: Trace) -> Any:
        return create_app(Settings(database=tmp_path / f"shop-{next(numbers)}.sqlite3"))

    yield both(factory, mask=[CLOCK])
    for name in [name for name in sys.modules if name.partition(".")[0] == "bookshop"]:
        del sys.modules[name]


@pytest.mark.parametrize("steps", [LOOKING, STAFF_WORK, SELLING], ids=["looking", "staff work", "selling"])
def test_the_shop_answers_alike(shop: Both, steps: list[tuple[int, Request]]) -> None:
    for step in steps:
        run(step, shop)


def test_what_can_be_compiled_is(shop: Both) -> None:
    case = Case("bookshop", "examples", None, (), FALLBACK, None, (), False, False)  # type: ignore[arg-type]
    assert not broken_promises(case, verdicts(shop.served.app))


def test_wild_requests_to_the_shop(shop: Both) -> None:
    @always_these(150)
    @given(st.one_of(from_schema(shop.own.app.openapi())), st.booleans())
    def alike(asked: Request, staff: bool) -> None:
        if staff:
            asked = Request(
                asked.method, asked.target, (*asked.headers, (b"X-API-Key", b"let-me-in")), asked.body, asked.chunks
            )
        shop.ask(asked)

    alike()
