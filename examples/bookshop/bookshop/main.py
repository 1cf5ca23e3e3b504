"""The shop's application: `app`, or `create_app(settings)` for one of your own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy import create_engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import sessionmaker

from . import errors
from .routers import authors, books, orders
from .seed import seed
from .settings import Settings
from .tables import Book, Table

RATES = {"EUR": Decimal(1), "USD": Decimal("1.09"), "JPY": Decimal("163.4")}


def keep_references(connection: DBAPIConnection, record: object) -> None:
    """SQLite checks foreign keys only for who asks."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine = create_engine(f"sqlite:///{app.state.settings.database}")
    event.listen(engine, "connect", keep_references)
    app.state.sessions = sessionmaker(engine, expire_on_commit=False)
    Table.metadata.create_all(engine)
    with app.state.sessions() as session:
        seed(session)
        app.state.prices = {book.isbn: book.price for book in session.scalars(select(Book))}
    app.state.rates = RATES
    yield
    engine.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    """A shop of its own; without settings it is set up from the environment."""
    settings = settings or Settings.from_environment()
    app = FastAPI(title="Bookshop", version="1.0", summary="Books, their authors, and orders.", lifespan=lifespan)
    app.state.settings = settings
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["X-API-Key", "Content-Type"],
        allow_credentials=True,
        expose_headers=["X-Total-Count", "Location"],
    )
    errors.install(app)
    app.include_router(books.router)
    app.include_router(authors.router)
    app.include_router(orders.router)

    @app.get("/", include_in_schema=False)
    async def welcome() -> dict[str, str]:
        return {"shop": app.title, "docs": app.docs_url or ""}

    @app.get("/health", tags=["shop"])
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


app = create_app()
