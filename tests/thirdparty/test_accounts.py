"""Accounts: fastapi-users with cookies, verification and passwords, and sqladmin behind its login."""

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request

SECRET = "a secret that is long enough for its algorithm"


def members(path: Path, told: dict[str, Any]) -> FastAPI:
    from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
    from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
    from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
    from fastapi_users.password import PasswordHelper
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase

    class Base(DeclarativeBase):
        pass

    class User(SQLAlchemyBaseUserTableUUID, Base):
        pass

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
        reset_password_token_secret = verification_token_secret = SECRET

        async def on_after_forgot_password(self, user: User, token: str, request: Request | None = None) -> None:
            told["reset"] = token

        async def on_after_request_verify(self, user: User, token: str, request: Request | None = None) -> None:
            told["verify"] = token

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened:
            yield opened

    async def database(opened: AsyncSession = Depends(session)) -> AsyncIterator[Any]:
        yield SQLAlchemyUserDatabase(opened, User)

    # As weak as can be: a test needs no strong hash, and the usual one takes a quarter of a second.
    passwords = PasswordHelper(PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))

    async def manager(db: Any = Depends(database)) -> AsyncIterator[Manager]:
        yield Manager(db, passwords)

    def strategy() -> JWTStrategy[User, uuid.UUID]:
        return JWTStrategy(secret=SECRET, lifetime_seconds=3600)

    cookie = AuthenticationBackend(
        name="cookie", transport=CookieTransport(cookie_secure=False, cookie_max_age=3600), get_strategy=strategy
    )
    bearer = AuthenticationBackend(
        name="bearer", transport=BearerTransport(tokenUrl="bearer/login"), get_strategy=strategy
    )
    users = FastAPIUsers[User, uuid.UUID](manager, [cookie, bearer])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    user, create, update = schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate, schemas.BaseUserUpdate
    app.include_router(users.get_auth_router(cookie), prefix="/cookie")
    app.include_router(users.get_auth_router(bearer), prefix="/bearer")
    app.include_router(users.get_register_router(user, create), prefix="/auth")
    app.include_router(users.get_verify_router(user), prefix="/auth")
    app.include_router(users.get_reset_password_router(), prefix="/auth")
    app.include_router(users.get_users_router(user, update), prefix="/users")

    @app.get("/verified")
    async def verified(user: User = Depends(users.current_user(active=True, verified=True))) -> str:
        return user.email

    @app.get("/perhaps")
    async def perhaps(user: User | None = Depends(users.current_user(optional=True))) -> str | None:
        return user.email if user else None

    return app


def test_fastapi_users_cookies_verification_and_passwords(serve: Any, on_uvicorn: Any, tmp_path: Path) -> None:
    def live(client: Any, told: dict[str, Any]) -> list[Any]:
        found: list[Any] = []

        def note(reply: Any) -> Any:
            said = (reply.request.method, reply.request.url.path, reply.status_code, reply.text)
            found.append(tuple(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", str(each)) for each in said))
            return reply

        ann = {"email": "ann@example.com", "password": "correct horse"}
        note(client.post("/auth/register", json=ann))
        note(client.get("/users/me"))
        note(client.get("/perhaps"))
        form = {"username": ann["email"], "password": ann["password"]}
        reply = note(client.post("/cookie/login", data=form))
        found.append(re.sub("auth=[^;]*", "auth=", reply.headers["set-cookie"]))
        me = note(client.get("/users/me")).json()
        note(client.get("/perhaps"))
        note(client.patch("/users/me", json={"email": "anna@example.com"}))
        note(client.get(f"/users/{me['id']}"))
        note(client.get("/verified"))
        note(client.post("/auth/request-verify-token", json={"email": "anna@example.com"}))
        note(client.post("/auth/verify", json={"token": told["verify"]}))
        note(client.get("/verified"))
        note(client.post("/auth/forgot-password", json={"email": "anna@example.com"}))
        note(client.post("/auth/reset-password", json={"token": "wrong", "password": "battery staple"}))
        note(client.post("/auth/reset-password", json={"token": told["reset"], "password": "battery staple"}))
        note(client.post("/cookie/logout"))
        note(client.get("/users/me"))
        again = {"username": "anna@example.com", "password": "battery staple"}
        reply = client.post("/bearer/login", data=again)
        note(client.get("/verified", headers={"Authorization": f"Bearer {reply.json()['access_token']}"}))
        note(client.get("/verified", headers={"Authorization": "Bearer none"}))
        return found

    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    found = live(serve(members(tmp_path / "ours.db", ours)), ours)
    assert found == live(on_uvicorn(members(tmp_path / "theirs.db", theirs)), theirs)
    assert found[-2][2:] == ("200", '"anna@example.com"')
    assert [each[2] for each in found if each[1] == "/verified"] == ["403", "200", "200", "401"]


def administered(path: Path) -> FastAPI:
    from sqladmin import Admin, ModelView
    from sqladmin.authentication import AuthenticationBackend
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Pet(Base):
        __tablename__ = "pets"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        age: Mapped[int | None]

    class PetAdmin(ModelView, model=Pet):
        column_list = (Pet.id, Pet.name, Pet.age)
        column_searchable_list = (Pet.name,)
        column_sortable_list = (Pet.id,)
        page_size = 2

    class Door(AuthenticationBackend):
        async def login(self, request: Request) -> bool:
            form = await request.form()
            request.session["who"] = form["username"]
            return form["password"] == "open"

        async def logout(self, request: Request) -> bool:
            request.session.clear()
            return True

        async def authenticate(self, request: Request) -> bool:
            return "who" in request.session

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    Admin(app, engine, authentication_backend=Door(SECRET)).add_view(PetAdmin)
    return app


def test_sqladmin_lists_creates_edits_finds_and_deletes_behind_its_login(serve: Any, tmp_path: Path) -> None:
    client = serve(administered(tmp_path / "pets.db"))

    def names(query: str = "") -> list[str]:
        reply = client.get(f"/admin/pet/list{query}")
        assert reply.status_code == 200
        return sorted(name for name in ("Rex", "Tom", "Max", "Moritz") if name in reply.text)

    reply = client.get("/admin/pet/list")
    assert (reply.status_code, reply.headers["location"].rpartition("/")[2]) == (302, "login")
    assert client.post("/admin/login", data={"username": "ann", "password": "shut"}).status_code == 400
    assert client.post("/admin/login", data={"username": "ann", "password": "open"}).status_code == 302
    for name in ("Rex", "Tom", "Max"):
        assert client.post("/admin/pet/create", data={"name": name, "age": "3"}).status_code == 302
    assert client.post("/admin/pet/create", data={"name": "Moritz", "age": "old"}).status_code == 400
    assert names("?sortBy=id&sort=asc") == ["Rex", "Tom"]
    assert names("?sortBy=id&sort=asc&page=2") == ["Max"]
    assert names("?search=Ma") == ["Max"]
    assert client.post("/admin/pet/edit/3", data={"name": "Moritz", "age": "", "save": "Save"}).status_code == 302
    assert "Moritz" in client.get("/admin/pet/details/3").text
    assert client.get("/admin/pet/details/9").status_code == 404
    assert client.delete("/admin/pet/delete", params={"pks": "1,2"}).status_code == 200
    assert names() == ["Moritz"]
    exported = client.get("/admin/pet/export/csv")
    assert exported.headers["content-disposition"].startswith("attachment")
    assert exported.text.splitlines() == ["id,name,age", "3,Moritz,None"]
    assert client.get("/admin/logout").status_code == 302
    assert client.get("/admin/pet/list").status_code == 302
