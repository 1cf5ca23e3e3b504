"""Packages that add routes or whole applications: users, an admin interface, pages, GraphQL, Django, Flask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request


def test_fastapi_users_registers_logs_in_and_knows_its_users(serve: Any, tmp_path: Path) -> None:
    import uuid

    from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
    from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
    from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase

    secret = "a secret that is long enough for its algorithm"

    class Base(DeclarativeBase):
        pass

    class User(SQLAlchemyBaseUserTableUUID, Base):
        pass

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'users.db'}")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    registered: list[str] = []

    class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
        reset_password_token_secret = verification_token_secret = secret

        async def on_after_register(self, user: User, request: Request | None = None) -> None:
            registered.append(user.email)

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def database(opened: AsyncSession = Depends(session)) -> AsyncIterator[Any]:
        yield SQLAlchemyUserDatabase(opened, User)

    async def manager(db: Any = Depends(database)) -> AsyncIterator[Manager]:
        yield Manager(db)

    backend = AuthenticationBackend(
        name="jwt",
        transport=BearerTransport(tokenUrl="auth/login"),
        get_strategy=lambda: JWTStrategy(secret=secret, lifetime_seconds=60),
    )
    users = FastAPIUsers[User, uuid.UUID](manager, [backend])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(users.get_auth_router(backend), prefix="/auth")
    app.include_router(users.get_register_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate), prefix="/auth")

    @app.get("/me")
    async def me(user: User = Depends(users.current_user(active=True))) -> str:
        return user.email

    client = serve(app)
    ann = {"email": "ann@example.com", "password": "correct horse"}
    assert client.post("/auth/register", json=ann).status_code == 201
    assert client.post("/auth/register", json=ann).json() == {"detail": "REGISTER_USER_ALREADY_EXISTS"}
    assert registered == ["ann@example.com"]
    form = {"username": ann["email"], "password": ann["password"]}
    assert client.post("/auth/login", data={**form, "password": "wrong"}).status_code == 400
    token = client.post("/auth/login", data=form).json()["access_token"]
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).json() == ann["email"]


def test_sqladmin_shows_and_changes_rows(serve: Any, tmp_path: Path) -> None:
    from sqladmin import Admin, ModelView
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        pass

    class Pet(Base):
        __tablename__ = "pets"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    class PetAdmin(ModelView, model=Pet):
        column_list = (Pet.id, Pet.name)

    engine = create_engine(f"sqlite:///{tmp_path / 'pets.db'}", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Pet(name="Rex"))
        session.commit()
    app = FastAPI()
    Admin(app, engine).add_view(PetAdmin)
    client = serve(app)
    assert "Rex" in client.get("/admin/pet/list").text
    assert client.get("/admin/statics/css/main.css").headers["content-type"].startswith("text/css")
    assert client.post("/admin/pet/create", data={"name": "Tom"}).status_code in (302, 303)
    assert "Tom" in client.get("/admin/pet/list").text
    with Session(engine) as session:
        assert session.get(Pet, 2) is not None
    engine.dispose()


def test_fastapi_pagination_cuts_pages(serve: Any, on_uvicorn: Any) -> None:
    from fastapi_pagination import Page, add_pagination, paginate

    def make() -> FastAPI:
        app = FastAPI()

        @app.get("/def")
        def in_def() -> Page[int]:
            return paginate(range(100))  # type: ignore[arg-type, no-any-return]

        @app.get("/async")
        async def in_async() -> Page[int]:
            return paginate(list(range(100)))  # type: ignore[no-any-return]

        add_pagination(app)
        return app

    ours, theirs = serve(make()), on_uvicorn(make())
    for path in ("/def?page=3&size=4", "/async?page=2", "/async?size=1000"):
        found, expected = ours.get(path), theirs.get(path)
        assert (found.status_code, found.content) == (expected.status_code, expected.content)
    page = ours.get("/def?page=3&size=4").json()
    assert (page["items"], page["total"], page["pages"]) == ([8, 9, 10, 11], 100, 25)


def test_strawberry_answers_queries_and_mutations(serve: Any) -> None:
    import strawberry
    from strawberry.fastapi import GraphQLRouter

    books = ["One"]

    @strawberry.type
    class Query:
        @strawberry.field
        async def books(self) -> list[str]:
            await asyncio.sleep(0)
            return list(books)

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def add(self, title: str, info: strawberry.Info) -> str:
            books.append(title)
            info.context["background_tasks"].add_task(books.append, "from the background")
            return title

    app = FastAPI()
    app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")
    client = serve(app)
    ask = {"query": "mutation($t: String!) { add(title: $t) }", "variables": {"t": "Two"}}
    assert client.post("/graphql", json=ask).json() == {"data": {"add": "Two"}}
    found = client.get("/graphql", params={"query": "{ books }"}).json()
    assert found == {"data": {"books": ["One", "Two", "from the background"]}}
    assert "text/html" in client.get("/graphql", headers={"Accept": "text/html"}).headers["content-type"]
    assert "errors" in client.post("/graphql", json={"query": "{ none }"}).json()


def test_fastapi_pagination_of_rows_by_limit_and_by_page(serve: Any, on_uvicorn: Any, tmp_path: Path) -> None:
    from fastapi_pagination import LimitOffsetPage, Page, add_pagination
    from fastapi_pagination.ext.sqlalchemy import apaginate
    from pydantic import BaseModel, ConfigDict
    from sqlalchemy import select
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = "rows"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Shown(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        id: int

    def make(path: Path) -> FastAPI:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with AsyncSession(engine) as session, session.begin():
                session.add_all([Row(id=number) for number in range(1, 8)])
            yield
            await engine.dispose()

        async def database() -> AsyncIterator[AsyncSession]:
            async with AsyncSession(engine) as session:
                yield session

        app = FastAPI(lifespan=lifespan)

        @app.get("/limit")
        async def limited(db: AsyncSession = Depends(database)) -> LimitOffsetPage[Shown]:
            return await apaginate(db, select(Row).order_by(Row.id))  # type: ignore[no-any-return]

        @app.get("/page")
        async def paged(db: AsyncSession = Depends(database)) -> Page[Shown]:
            return await apaginate(db, select(Row).order_by(Row.id))  # type: ignore[no-any-return]

        return add_pagination(app)  # type: ignore[no-any-return]

    def ask(client: Any) -> list[Any]:
        paths = ("/limit?limit=3&offset=5", "/limit?limit=0", "/page?page=2&size=2", "/page?size=0")
        found = [client.get(path) for path in paths]
        return [(reply.status_code, reply.json()) for reply in found]

    found = ask(serve(make(tmp_path / "ours.db")))
    assert found == ask(on_uvicorn(make(tmp_path / "theirs.db")))
    assert [row["id"] for row in found[0][1]["items"]] == [6, 7]
    assert [row["id"] for row in found[2][1]["items"]] == [3, 4]


def test_django_as_a_foreign_application(serve: Any) -> None:
    import django
    from a2wsgi import WSGIMiddleware
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    def sync_view(request: HttpRequest, number: int) -> JsonResponse:
        files = {name: (file.name, file.read().decode()) for name, file in request.FILES.items()}
        return JsonResponse({"sync": number, "posted": request.POST.dict(), "files": files})

    async def async_view(request: HttpRequest) -> JsonResponse:
        await asyncio.sleep(0)
        return JsonResponse({"async": request.GET["q"]})

    if not settings.configured:
        settings.configure(
            SECRET_KEY="test",
            ALLOWED_HOSTS=["*"],
            ROOT_URLCONF=__name__,
            MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        )
        django.setup()
    globals()["urlpatterns"] = [path("sync/<int:number>", sync_view), path("async", async_view)]
    client = serve(get_asgi_application())
    assert client.post("/sync/3", data={"a": "1"}).json() == {"sync": 3, "posted": {"a": "1"}, "files": {}}
    assert client.get("/async", params={"q": "é"}).json() == {"async": "é"}
    assert client.get("/none").status_code == 404
    app = FastAPI()
    app.mount("/", WSGIMiddleware(get_wsgi_application()))  # type: ignore[arg-type]
    through_wsgi, upload = serve(app), {"one": ("a.txt", "text " * 50_000)}
    for each in (client, through_wsgi):
        found = each.post("/sync/4", data={"a": "é"}, files=upload).json()
        assert found == {"sync": 4, "posted": {"a": "é"}, "files": {"one": ["a.txt", "text " * 50_000]}}
    assert through_wsgi.get("/async", params={"q": "é"}).json() == {"async": "é"}
    assert through_wsgi.get("/none").status_code == 404


def test_flask_through_a2wsgi(serve: Any) -> None:
    from a2wsgi import WSGIMiddleware
    from flask import Flask, jsonify, request

    flask = Flask("shop")

    @flask.route("/items/<int:number>", methods=["GET", "POST"])
    def item(number: int) -> Any:
        return jsonify(number=number, form=request.form.to_dict(), host=request.host)

    @flask.route("/stream")
    def stream() -> Any:
        return (f"part {number}\n" for number in range(3)), {"Content-Type": "text/plain"}

    app = FastAPI()

    @app.get("/fast")
    async def fast() -> str:
        return "fast"

    app.mount("/", WSGIMiddleware(flask))  # type: ignore[arg-type]
    client = serve(app)
    assert client.get("/fast").json() == "fast"
    found = client.post("/items/4", data={"a": "b"}).json()
    assert (found["number"], found["form"]) == (4, {"a": "b"})
    assert client.get("/stream").text == "part 0\npart 1\npart 2\n"
    assert serve(WSGIMiddleware(flask)).get("/items/5").json()["number"] == 5
