"""SQLAlchemy's asyncio engine with aiosqlite, SQLModel, and redis-py's asyncio client."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request


def notes_app(path: Path) -> FastAPI:
    from sqlalchemy import String, select
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(100), unique=True)

    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as opened, opened.begin():
            yield opened

    app = FastAPI(lifespan=lifespan)

    @app.post("/notes/{text}", status_code=201)
    async def add(text: str, db: Annotated[AsyncSession, Depends(session)]) -> int:
        note = Note(text=text)
        db.add(note)
        await db.flush()
        if text == "refused":
            raise HTTPException(409, "refused")
        return note.id

    @app.get("/notes")
    async def all_notes(db: Annotated[AsyncSession, Depends(session)]) -> list[str]:
        return list(await db.scalars(select(Note.text).order_by(Note.id)))

    return app


def test_sqlalchemy_sessions_commit_and_roll_back(serve: Any, on_uvicorn: Any, tmp_path: Path) -> None:
    def use(client: Any) -> list[Any]:
        replies = [client.post(f"/notes/{text}") for text in ("one", "refused", "two")]
        replies.append(client.get("/notes"))
        return [(reply.status_code, reply.json()) for reply in replies]

    found = use(serve(notes_app(tmp_path / "ours.db")))
    assert found[-1] == (200, ["one", "two"])
    assert found[1] == (409, {"detail": "refused"})
    assert found == use(on_uvicorn(notes_app(tmp_path / "theirs.db")))


def test_sqlmodel_as_table_body_and_response(serve: Any, tmp_path: Path) -> None:
    from sqlmodel import Field, Session, SQLModel, create_engine, select

    class HeroBase(SQLModel):
        name: str = Field(index=True)
        age: int | None = None

    class Hero(HeroBase, table=True):
        id: int | None = Field(default=None, primary_key=True)
        secret: str = "hidden"

    class HeroPublic(HeroBase):
        id: int

    engine = create_engine(f"sqlite:///{tmp_path / 'heroes.db'}", connect_args={"check_same_thread": False})
    SQLModel.metadata.create_all(engine)

    def session() -> Iterator[Session]:
        with Session(engine) as opened:
            yield opened

    app = FastAPI()

    @app.post("/heroes", response_model=HeroPublic)
    def create(hero: HeroBase, db: Session = Depends(session)) -> Any:
        row = Hero.model_validate(hero)
        db.add(row)
        db.commit()
        db.refresh(row)
        return row

    @app.get("/heroes", response_model=list[HeroPublic])
    def heroes(db: Session = Depends(session), offset: int = 0) -> Any:
        return db.exec(select(Hero).offset(offset).limit(10)).all()

    client = serve(app)
    assert client.post("/heroes", json={"name": "Ada", "age": 36}).json() == {"name": "Ada", "age": 36, "id": 1}
    assert client.post("/heroes", json={"age": 1}).status_code == 422
    assert client.post("/heroes", json={"name": "Bob"}).json()["id"] == 2
    assert [hero["name"] for hero in client.get("/heroes", params={"offset": 1}).json()] == ["Bob"]
    engine.dispose()


@pytest.fixture
def redis_socket(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed; CI installs it")
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path), "--daemonize", "no"]
    process = subprocess.Popen([program, *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert any("eady to accept connections" in line for line in process.stdout)
        yield str(path)
    finally:
        process.terminate()
        process.communicate()


def test_redis_py_counts_and_publishes(serve: Any, redis_socket: str) -> None:
    import redis.asyncio as redis

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with redis.Redis(unix_socket_path=redis_socket, decode_responses=True) as client:
            app.state.redis = client
            yield {}

    app = FastAPI(lifespan=lifespan)

    @app.post("/hits/{name}")
    async def hit(name: str) -> int:
        return int(await app.state.redis.incr(name))

    @app.get("/round-trip")
    async def round_trip() -> list[Any]:
        async with app.state.redis.pubsub() as channel:
            await channel.subscribe("news")
            await channel.get_message(timeout=5)
            await app.state.redis.publish("news", "hello")
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=5)
            return [message["channel"], message["data"]]

    client = serve(app)
    assert [client.post("/hits/a").json() for _ in range(3)] == [1, 2, 3]
    assert client.get("/round-trip").json() == ["news", "hello"]


def test_redis_py_tells_every_listener_what_others_publish(serve: Any, redis_socket: str) -> None:
    import redis.asyncio as redis
    from fastapi.responses import StreamingResponse

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with redis.Redis(unix_socket_path=redis_socket, decode_responses=True) as client:
            yield {"redis": client}

    app = FastAPI(lifespan=lifespan)

    @app.get("/news")
    async def news(request: Request) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async with request.state.redis.pubsub() as channel:
                await channel.subscribe("news")
                async for message in channel.listen():
                    yield f"{message['type']} {message['data']}\n"
                    if message["data"] == "end":
                        return

        return StreamingResponse(lines(), media_type="text/plain")

    @app.post("/news")
    async def publish(request: Request) -> int:
        async with request.state.redis.pipeline(transaction=True) as pipe:
            for line in (await request.body()).decode().split():
                pipe.publish("news", line)
            return sum(await pipe.execute())

    client = serve(app)
    with client.stream("GET", "/news") as one, client.stream("GET", "/news") as two:
        lines = [one.iter_lines(), two.iter_lines()]
        assert [next(each) for each in lines] == ["subscribe 1", "subscribe 1"]
        assert client.post("/news", content="hello end").json() == 4
        assert [list(each) for each in lines] == [["message hello", "message end"]] * 2
