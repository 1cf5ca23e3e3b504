"""One kind of parameter per application, with what it takes and what it refuses."""

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal, Optional, Union

from fastapi import Cookie, Depends, FastAPI, Header, Path, Query
from pydantic import AfterValidator, BaseModel, Field, Json, SecretStr, StringConstraints
from pydantic.networks import AnyUrl, IPvAnyAddress

from ..case import Step, case
from ..request import get
from ..trace import Trace
from .show import seen

OK, BAD = 200, 422
# Releases do not agree.
OLD = {OK, BAD}


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


def param(
    name: str, annotation: Any, *queries: tuple[int | set[int], str], default: Any = ..., through: bool = True
) -> None:
    """A case with one parameter `v`: in an `async def` and in a `def` route, and `through` a dependency.

    Validation by the application's own functions in a dependency may be a fallback.
    """

    def factory(trace: Trace) -> FastAPI:
        app = FastAPI()

        def add(path: str, make: Any) -> None:
            if default is ...:

                async def read(v: annotation):
                    return seen(v=v)

                def read_sync(v: annotation):
                    return seen(v=v)

            else:

                async def read(v: annotation = default):
                    return seen(v=v)

                def read_sync(v: annotation = default):
                    return seen(v=v)

            make(path, read, read_sync)

        def routes(path: str, read: Any, read_sync: Any) -> None:
            app.get(path)(read)
            app.get(f"{path}sync")(read_sync)

            async def read_through(v: Annotated[Any, Depends(read_sync)]):
                return v

            app.get(f"{path}through")(read_through)

        add("/", routes)
        return app

    factory.__name__ = f"param_{name}"
    steps: list[Step] = [(status, get(f"/{query}")) for status, query in queries]
    status, query = queries[0]
    steps += [(status, get(f"/sync{query}")), (status, get(f"/through{query}"))]
    status, query = queries[-1]
    steps += [(status, get(f"/sync{query}")), (status, get(f"/through{query}"))]
    case(steps, wild=False, fallback=[] if through else ["GET /through"])(factory)


def query(name: str, annotation: Any, right: list[str], wrong: list[str], **more: Any) -> None:
    """Values of `?v=`, one after the other."""
    param(name, annotation, *((OK, f"?v={v}") for v in right), *((BAD, f"?v={v}") for v in wrong), **more)


query("int", int, ["0", "-5", "%2B7", "1_000", "12345678901234567890", "1.0"], ["", "x", "1.5", "0x10", "1e3"])
query("float", float, ["0.5", "-0", "1e3", "inf", "nan", "1_0.5"], ["", "x", "1,5"])
query("bool", bool, ["true", "1", "on", "Yes", "f", "0", "off", "NO"], ["", "2", "truee"])
query("str", str, ["", "a", "a%20b", "a+b", "%C3%A9", "%00", "a%26b"], [])
query("bytes", bytes, ["", "a", "%C3%A9", "%ff"], [])
query("enum", Color, ["red", "blue"], ["", "RED", "green"])
query("int_enum", Size, ["1", "2"], ["3", "SMALL", ""])
query("literal", Literal["a", "b"], ["a", "b"], ["c", "", "A"])
query("literal_int", Literal[1, 2], [], ["1", "3", ""])
query("uuid", uuid.UUID, ["00000000-0000-0000-0000-00000000000a", "0" * 32], ["", "x", "0" * 31])
query("decimal", decimal.Decimal, ["1.10", "1e2", "-0"], ["", "x", "nan"])
query("datetime", datetime.datetime, ["2026-01-02T03:04:05Z", "2026-01-02%2003:04", "1767323045"], ["", "2026-13-01"])
query("date", datetime.date, ["2026-01-02", "1767312000"], ["", "2026-02-30", "2026-01-02T01:00"])
query("time", datetime.time, ["03:04", "03:04:05.5"], ["", "25:00"])
query("timedelta", datetime.timedelta, ["P1DT2H", "01:00:00"], ["", "x"])
query("url", AnyUrl, ["https://a.test/x%3Fy=1", "ftp://b"], ["", "a.test"])
query("ip", IPvAnyAddress, ["127.0.0.1", "::1"], ["", "256.0.0.1"])
query("secret", SecretStr, ["hidden", ""], [])
param("json", Annotated[Json[list[int]], Query()], (OLD, "?v=[1,2]"), (OLD, "?v=[]"), (BAD, "?v="), (BAD, "?v={}"))
query("constrained_int", Annotated[int, Query(ge=1, lt=10, multiple_of=3)], ["3", "9"], ["0", "4", "12", "x"])
query("constrained_float", Annotated[float, Query(gt=0, le=1, allow_inf_nan=False)], ["1", "0.5"], ["0", "nan", "2"])
query(
    "constrained_str", Annotated[str, Query(min_length=2, max_length=3, pattern="^a")], ["ab", "abc"], ["a", "bcd", ""]
)
query("stripped", Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True)], ["%20a%20", "b"], [])
query("union", Union[int, str], ["1", "x", ""], [])  # noqa: UP007
query("union_order", Union[float, int, None], ["1", "1.5"], ["x", ""])  # noqa: UP007
query("validated", Annotated[int, AfterValidator(lambda v: v * 2)], ["1", "2"], ["x"], through=False)
query("any", Any, ["1", "", "x"], [])
param("optional", Optional[int], (OK, ""), (OK, "?v=5"), (BAD, "?v="), (BAD, "?v=x"), default=None)  # noqa: UP045
param("defaulted", int, (OK, ""), (OK, "?v=5"), (BAD, "?v=x"), default=7)
param("required", int | None, (BAD, ""), (OK, "?v=5"), (BAD, "?v="))
param("aliased", Annotated[int, Query(alias="v-x")], (OK, "?v-x=5"), (BAD, "?v=5"), (BAD, "?V-X=5"))
param(
    "validation_aliased",
    Annotated[int, Query(validation_alias="w", serialization_alias="z")],
    (OLD, "?w=5"),
    (OLD, "?v=5"),
)
param("list", Annotated[list[int], Query()], (OK, "?v=1&v=2"), (OK, "?v=1"), (BAD, "?v=1&v=x"), (BAD, ""))
param("list_defaulted", Annotated[list[str], Query()], (OK, ""), (OK, "?v="), (OK, "?v=a&v=b"), default=["d"])
param("list_optional", Annotated[list[int] | None, Query()], (OK, ""), (OK, "?v=1"), (BAD, "?v="), default=None)
param("set", Annotated[set[int], Query()], (OK, "?v=1&v=1"), (BAD, "?v=x"), (BAD, ""))
param("tuple", Annotated[tuple[int, str], Query()], (OK, "?v=1&v=a"), (BAD, "?v=1"), (BAD, "?v=x&v=a"))
param("list_bounded", Annotated[list[int], Query(min_length=1, max_length=2)], (OK, "?v=1"), (BAD, "?v=1&v=2&v=3"))
param("list_of_enums", Annotated[list[Color], Query()], (OK, "?v=red&v=blue"), (BAD, "?v=red&v=x"))
param(
    "factory",
    Annotated[list[int], Query(default_factory=lambda: [1, 2])],
    (OK, ""),
    (OK, "?v=3"),
    (BAD, "?v=x"),
    through=False,
)
param("repeated", int, (OK, "?v=1&v=2"), (BAD, "?v=1&v=x"), (OK, "?v=x&v=2"))
param("encoded_names", Annotated[int, Query(alias="a b&c")], (OK, "?a%20b%26c=1"), (OK, "?a+b%26c=1"), (BAD, "?a"))
param("deprecated", Annotated[int, Query(deprecated=True, include_in_schema=False, title="t")], (OK, "?v=1"), (BAD, ""))


class Filter(BaseModel):
    model_config = {"extra": "forbid"}
    limit: int = Field(10, le=100)
    tags: list[str] = []
    order: Literal["a", "b"] = "a"


param(
    "query_model",
    Annotated[Filter, Query()],
    (OK, "?limit=5&tags=a&tags=b"),
    (OK, ""),
    (BAD, "?limit=101"),
    (BAD, "?other=1"),
)


def header(name: str, annotation: Any, *requests: tuple[int, dict[str, str | bytes] | list[Any]]) -> None:
    """A case with one header or cookie `x_key`."""

    def factory(trace: Trace) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        async def read(x_key: annotation):
            return seen(x_key=x_key)

        @app.get("/sync")
        def read_sync(x_key: annotation):
            return seen(x_key=x_key)

        return app

    factory.__name__ = f"header_{name}"
    case([(status, get(path, fields)) for status, fields in requests for path in ("/", "/sync")], wild=False)(factory)


header(
    "str", Annotated[str, Header()], (OK, {"X-Key": "a"}), (OK, {"x-KEY": b"\xe9"}), (BAD, {}), (BAD, {"x_key": "a"})
)
header("int", Annotated[int, Header()], (OK, {"X-Key": "5"}), (BAD, {"X-Key": "x"}), (BAD, {"X-Key": ""}))
header("underscores", Annotated[str, Header(convert_underscores=False)], (OK, {"x_key": "a"}), (BAD, {"X-Key": "a"}))
header("alias", Annotated[str, Header(alias="Other-Name")], (OK, {"other-name": "a"}), (BAD, {"X-Key": "a"}))
header(
    "list", Annotated[list[int], Header()], (OK, [("X-Key", "1"), ("X-Key", "2")]), (BAD, {"X-Key": "1, 2"}), (BAD, {})
)
header("optional", Annotated[bool | None, Header()], (OK, {"X-Key": "on"}), (BAD, {"X-Key": "maybe"}))
header("date", Annotated[datetime.date, Header()], (OK, {"X-Key": "2026-01-02"}), (BAD, {"X-Key": "Jan 2"}))
header("cookie", Annotated[int, Cookie()], (OK, {"Cookie": "x_key=5"}), (BAD, {"Cookie": "x_key=x"}), (BAD, {}))
header("cookie_alias", Annotated[str, Cookie(alias="k")], (OK, {"Cookie": 'a=1; k="q r"'}), (BAD, {"Cookie": "K=1"}))


def path(name: str, pattern: str, annotation: Any, *targets: tuple[int, str]) -> None:
    """A case with one path parameter `v`."""

    def factory(trace: Trace) -> FastAPI:
        app = FastAPI()

        @app.get(pattern)
        async def read(v: annotation):
            return seen(v=v)

        @app.get(f"/sync{pattern}")
        def read_sync(v: annotation):
            return seen(v=v)

        return app

    factory.__name__ = f"path_{name}"
    case([(status, get(target)) for status, each in targets for target in (each, f"/sync{each}")], wild=False)(factory)


path("str", "/{v}", str, (OK, "/a"), (OK, "/%20"), (OK, "/%C3%A9"), (404, "/a%2Fb"), (404, "/a/b"))
path("int", "/{v}", int, (OK, "/5"), (BAD, "/x"), (OK, "/-5"), (BAD, "/1.5"))
path("int_convertor", "/{v:int}", int, (OK, "/5"), (404, "/x"), (404, "/-5"), (OK, "/007"))
path("int_as_str", "/{v:int}", str, (BAD, "/5"), (404, "/x"))
path("float_convertor", "/{v:float}", float, (OK, "/5"), (OK, "/5.50"), (404, "/5."), (404, "/1e3"))
path("path_convertor", "/{v:path}/end", str, (OK, "/a/b/end"), (OK, "//end"), (404, "/END"))
path("enum", "/{v}", Color, (OK, "/red"), (BAD, "/Red"))
path("bounded", "/{v}", Annotated[int, Path(ge=1, le=3)], (OK, "/2"), (BAD, "/4"), (BAD, "/0"))
path("date", "/on/{v}/", datetime.date, (OK, "/on/2026-01-02/"), (BAD, "/on/x/"))
path("regex_characters", "/a.b+(c)/{v}", str, (OK, "/a.b+(c)/x"), (404, "/aXb+(c)/x"))
path("model", "/{v}/{w}", Annotated[Any, Path()], (OK, "/1/2"), (404, "/"))
