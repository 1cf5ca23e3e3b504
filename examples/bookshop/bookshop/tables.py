"""The database's tables."""

import enum
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Genre(enum.StrEnum):
    NOVEL = "novel"
    POETRY = "poetry"
    SCIENCE = "science"
    CHILDREN = "children"


class OrderState(enum.StrEnum):
    PLACED = "placed"
    PAID = "paid"
    SENT = "sent"
    CANCELLED = "cancelled"


class Table(DeclarativeBase):
    pass


def now() -> datetime:
    """UTC, without the zone: SQLite keeps none."""
    return datetime.now(UTC).replace(microsecond=0, tzinfo=None)


class Author(Table):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    born: Mapped[int | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.title")


class Book(Table):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    isbn: Mapped[str] = mapped_column(String(13), unique=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    genre: Mapped[Genre]
    year: Mapped[int]
    cents: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books", lazy="joined")

    @property
    def price(self) -> Decimal:
        return Decimal(self.cents).scaleb(-2)


class Order(Table):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(String(120))
    state: Mapped[OrderState] = mapped_column(default=OrderState.PLACED)
    placed_at: Mapped[datetime] = mapped_column(default=now)
    lines: Mapped[list["OrderLine"]] = relationship(back_populates="order", cascade="all, delete-orphan")

    @property
    def total(self) -> Decimal:
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))


class OrderLine(Table):
    __tablename__ = "order_lines"
    __table_args__ = (UniqueConstraint("order_id", "book_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    quantity: Mapped[int]
    cents: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="lines")
    book: Mapped[Book] = relationship()

    @property
    def price(self) -> Decimal:
        return Decimal(self.cents).scaleb(-2)
