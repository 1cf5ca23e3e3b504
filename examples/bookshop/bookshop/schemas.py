"""What goes in and what comes out."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from .tables import Genre, OrderState

Isbn = Annotated[str, Field(pattern=r"^97[89]\d{10}$", examples=["9780141439471"])]
Price = Annotated[Decimal, Field(gt=0, max_digits=8, decimal_places=2)]


class FromTable(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AuthorOut(FromTable):
    id: int
    name: str
    born: int | None


class BookOut(FromTable):
    isbn: str
    title: str
    genre: Genre
    year: int
    price: Decimal
    stock: int
    author: AuthorOut


class BookTitle(FromTable):
    isbn: str
    title: str
    year: int


class AuthorWithBooks(AuthorOut):
    books: list[BookTitle]


class NewBook(BaseModel):
    isbn: Isbn
    title: str = Field(min_length=1, max_length=200)
    genre: Genre
    year: int = Field(le=2100)
    price: Price
    stock: int = Field(default=0, ge=0)
    author_id: int


class BookChange(BaseModel):
    """Only what is sent is changed."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(default=None, min_length=1, max_length=200)
    price: Price | None = None
    stock: int | None = Field(default=None, ge=0)


class LineIn(BaseModel):
    isbn: Isbn
    quantity: int = Field(default=1, ge=1, le=100)


class NewOrder(BaseModel):
    customer: str = Field(min_length=1, max_length=120)
    lines: list[LineIn] = Field(min_length=1)


class LineOut(FromTable):
    quantity: int
    price: Decimal
    book: BookTitle


class OrderOut(FromTable):
    id: int
    customer: str
    state: OrderState
    placed_at: datetime
    total: Decimal
    lines: list[LineOut]


class QuoteOut(BaseModel):
    currency: str
    total: Decimal
    missing: list[str] = []
