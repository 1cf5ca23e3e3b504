"""Header and cookie parameters."""

import enum
from typing import Annotated

from fastapi import Cookie, FastAPI, Header
from pydantic import BaseModel, ConfigDict, Field

from ..case import case
from ..request import get
from ..trace import Trace
from .show import seen


@case(
    [
        (200, get("/", {"User-Agent": "me/1.0", "X-Number": "5"})),
        (200, get("/", {"user-agent": "me", "x-number": "5", "X-FLAG": "true"})),
        (422, get("/")),
        (422, get("/", {"X-Number": "five"})),
        (422, get("/", {"X-Number": ""})),
        (200, get("/", {"X-Number": "  7\t"})),
        (200, get("/", [("X-Number", "1"), ("X-Number", "2")])),
        ({200, 422}, get("/", [("X-Number", "1"), ("X-Number", "x")])),
        ({200, 422}, get("/", [("X-Number", "x"), ("X-Number", "1")])),
        (200, get("/", {"X-Number": "5", "User-Agent": b"caf\xe9 \xff"})),
        (200, get("/", {"X-Number": "5", "User-Agent": "\u00c3\u00a9"})),
        (200, get("/", {"X-Number": "5", "User-Agent": ""})),
        (200, get("/", {"X-Number": "5", "X-Number-Two": "3", "X_Raw": "underscored"})),
        (200, get("/", {"X-Number": "5", "User-Agent": "x" * 30000})),
        (422, get("/", {"X-Number": "5", "X-Flag": "perhaps"})),
        (200, get("/", {"X-Number": "5", "User-Agent": "tab\there, and  two spaces"})),
    ]
)
def headers(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(
        x_number: Annotated[int, Header()],
        user_agent: Annotated[str | None, Header()] = None,
        x_flag: Annotated[bool, Header()] = False,
        x_raw: Annotated[str | None, Header(convert_underscores=False)] = None,
    ):
        trace("read", x_number)
        return seen(x_number=x_number, user_agent=user_agent, x_flag=x_flag, x_raw=x_raw)

    return app


@case(
    [
        (200, get("/", [("X-Token", "a"), ("X-Token", "b")])),
        (200, get("/", {"X-Token": "a,b"})),
        (200, get("/")),
        (200, get("/", {"X-Odd-Name": "1"})),
        (200, get("/numbers", [("N", "1"), ("n", "2"), ("Other", "x"), ("N", "3")])),
        (422, get("/numbers", [("N", "1"), ("N", "x")])),
        (200, get("/kind", {"Kind": "cat"})),
        (422, get("/kind", {"Kind": "Cat"})),
        (422, get("/kind", {"Kind": "cat", "Age": "200"})),
    ]
)
def header_lists_and_aliases(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Kind(enum.StrEnum):
        CAT = "cat"

    @app.get("/")
    async def read(
        x_token: Annotated[list[str] | None, Header()] = None,
        odd: Annotated[str | None, Header(alias="X-Odd-Name")] = None,
    ):
        return seen(x_token=x_token, odd=odd)

    @app.get("/numbers")
    def numbers(n: Annotated[list[int], Header()]):
        return seen(n=n)

    @app.get("/kind")
    async def kinds(kind: Annotated[Kind, Header()], age: Annotated[int, Header(ge=0, le=150)] = 3):
        return seen(kind=kind, age=age)

    return app


@case(
    [
        (200, get("/", {"Host": "shop.test", "Save-Data": "true", "X-Tag": "1"})),
        (422, get("/", {"X-Tag": "1"})),
        (200, get("/", [("Save-Data", "no"), ("X-Tag", "1"), ("X-Tag", "2")])),
        (422, get("/strict", {"Save-Data": "1", "Surprise": "x"})),
    ]
)
def header_model(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Common(BaseModel):
        host: str
        save_data: bool
        if_modified_since: str | None = None
        x_tag: list[str] = []

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        save_data: bool

    @app.get("/")
    async def read(headers: Annotated[Common, Header()]):
        return headers

    @app.get("/strict")
    async def strict(headers: Annotated[Strict, Header()]):
        return headers

    return app


COOKIES = [
    "session=abc; n=5",
    "n=5",
    "n=5;session=x",
    "session=a=b; n=5",
    'session="quoted value"; n="5"',
    "n",
    "=5",
    "",
]
COOKIES += [
    "n=5; n=6",
    "n=x",
    "session=caf%C3%A9; n=5",
    "session=\xe9; n=5",
    "n=5; ; session=x",
    " n = 5 ",
    "N=5",
    "n=5,session=x",
]
COOKIES += [
    'session="a\\073b\\"c"; n=1',
    "n=5; session=" + "y" * 5000,
    "$Version=1; n=5",
    "session=a b; n=5",
    "n=5; session=[1,2]",
]


@case(
    [({200, 422}, get("/", {"Cookie": value})) for value in COOKIES]
    + [(422, get("/")), ({200, 422}, get("/", [("Cookie", "session=a"), ("Cookie", "n=5")]))]
    + [(200, get("/", {"cookie": "n=5", "X-Other": "n=6"}))]
)
def cookies(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(n: Annotated[int, Cookie()], session: Annotated[str | None, Cookie()] = None):
        trace("read", n)
        return seen(n=n, session=session)

    return app


@case(
    [
        (200, get("/", {"Cookie": "session_id=abc; fatebook_tracker=x"})),
        (422, get("/")),
        (200, get("/", {"Cookie": "session_id=a; extra=1"})),
        (422, get("/strict", {"Cookie": "session_id=a; extra=1"})),
        (200, get("/strict", {"Cookie": "session_id=a"})),
        ({200, 422}, get("/alias", {"Cookie": "my-id=4"})),
        (422, get("/alias", {"Cookie": "my-id=4x"})),
    ]
)
def cookie_model(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Cookies(BaseModel):
        session_id: str
        fatebook_tracker: str | None = None

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        session_id: str

    class Aliased(BaseModel):
        my_id: int = Field(alias="my-id")

    @app.get("/")
    async def read(cookies: Annotated[Cookies, Cookie()]):
        return cookies

    @app.get("/strict")
    def strict(cookies: Annotated[Strict, Cookie()]):
        return cookies

    @app.get("/alias")
    async def alias(cookies: Annotated[Aliased, Cookie()]):
        return cookies

    return app
