"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

APP = """
    from contextlib import asynccontextmanager
    from turboapi import App

    ran = []

    @asynccontextmanager
    async def lifespan(app):
        ran.append("start")
        yield
        ran.append("end")

    app = App(lifespan=lifespan)

    @app.get("/")
    def root():
        return {"ran": ran}
"""

TESTS = """
    import urllib.request

    def test_client(client):
        assert client.get("/").json()["ran"][-1] == "start"

    def test_live_server(live_server):
        with urllib.request.urlopen(live_server.url) as reply:
            assert reply.status == 200
        assert live_server.started
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(shop=APP, test_shop=TESTS)
    return pytester


def run(project: pytest.Pytester) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider")


def test_application_named_in_the_configuration(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nturboapi_app = shop:app\n")
    run(project).assert_outcomes(passed=2)


def test_application_given_by_a_fixture(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def turboapi_app():
            from shop import app
            return app
        """
    )
    project.makeini("[pytest]\npythonpath = .\n")
    run(project).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("ini", "says"),
    [("", "*no application: set turboapi_app = MODULE:APP*"), ("turboapi_app = shop:ap", "*did you mean shop:app?*")],
)
def test_no_application_is_an_error_that_says_what_to_do(project: pytest.Pytester, ini: str, says: str) -> None:
    project.makeini(f"[pytest]\n{ini}\n")
    result = run(project)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([says])


def test_the_plugin_alone_imports_nothing_heavy(project: pytest.Pytester) -> None:
    project.makepyfile(
        test_shop="""
        import sys

        def test_nothing_is_imported():
            assert not {"fastapi", "pydantic", "starlette", "turboapi._hot"} & set(sys.modules)
        """
    )
    run(project).assert_outcomes(passed=1)
