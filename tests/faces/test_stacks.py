"""Random stacks of middleware, asked random things: both faces answer the same.

FACES_STACKS sets how many stacks there are for each transport; the same ones each time.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware

from .apps import middlewares_known as known
from .both import Both
from .generate import always_these
from .request import Request, get, head, options, post, put
from .trace import Trace

STACKS = int(os.environ.get("FACES_STACKS", "12"))

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

few = st.booleans()
origins = st.lists(st.sampled_from([known.ORIGIN, "null", "https://other.test"]), unique=True)
MIDDLEWARES = st.one_of(
    st.builds(
        known.gzip, minimum_size=st.sampled_from([0, 5, 500, 100_000]), compresslevel=st.sampled_from([0, 1, 6, 9])
    ),
    st.builds(
        known.cors,
        allow_origins=st.one_of(origins, st.just(["*"]), st.just((known.ORIGIN,))),
        allow_origin_regex=st.sampled_from([None, r"https://.*\.test"]),
        allow_credentials=few,
        allow_methods=st.sampled_from([["*"], ["GET", "PUT"]]),
        expose_headers=st.sampled_from([(), ["X-Note"]]),
    ),
    st.builds(
        known.session,
        session_cookie=st.sampled_from(["session", "sessions"]),
        max_age=st.sampled_from([None, 60, 14 * 24 * 3600]),
        same_site=st.sampled_from(["lax", "none"]),
        https_only=few,
    ),
    st.builds(known.hosts, st.sampled_from(["faces.test", "*.test", "*", "www.faces.test"]), www_redirect=few),
    st.sampled_from([known.Slow, known.Plain, known.Secure, HTTPSRedirectMiddleware, "function", "secure"]),
)
FIELDS = st.lists(
    st.sampled_from(
        [
            ("Origin", known.ORIGIN),
            ("Origin", "https://other.test"),
            ("Accept-Encoding", "gzip"),
            ("Accept-Encoding", "gzip, br"),
            ("X-Forwarded-Proto", "https"),
            ("Access-Control-Request-Method", "PUT"),
            *[("Cookie", each["Cookie"]) for each in known.COOKIES if each],
        ]
    ),
    max_size=4,
    unique_by=lambda pair: pair[0],
)
PATHS = st.sampled_from([path for _, path in known.PATHS] + known.SESSION_PATHS + ["/session/set?note=a"])
ASKED = st.one_of(
    st.builds(get, PATHS, FIELDS),
    st.builds(get, PATHS, FIELDS),
    *[st.builds(each, st.sampled_from(["/any", "/small"]), FIELDS) for each in (head, options, put)],
    st.builds(lambda fields, given: post("/echo", fields, json=given), FIELDS, st.sampled_from([[], [1, 2, 3], "x"])),
)


def test_random_stacks_answer_alike(transport: str) -> None:
    @always_these(STACKS)
    @given(st.lists(MIDDLEWARES, min_size=1, max_size=5), st.lists(ASKED, min_size=8, max_size=25))
    def alike(stack: list[Any], asked: list[Request]) -> None:
        def factory(trace: Trace) -> Any:
            functions = {"function": known.note(trace), "secure": known.secure}
            return known.stacked(trace, *(functions[each] if isinstance(each, str) else each for each in stack))

        with closing(Both(factory, transport, mask=known.MASK)) as both:
            for each in asked:
                both.ask(each)

    alike()
