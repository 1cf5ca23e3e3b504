"""Reading the shelves."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload, sessionmaker

from .errors import NotFound
from .tables import Author, Book, Genre


class SortBy(StrEnum):
    TITLE = "title"
    YEAR = "year"
    PRICE = "price"


COLUMNS = {SortBy.TITLE: Book.title, SortBy.YEAR: Book.year, SortBy.PRICE: Book.cents}

# SQLite's integers have 64 bits; a larger number cannot be the key of anything.
MAX_KEY = 2**63 - 1


class Catalogue:
    """Looks things up; every call has a session of its own."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions = sessions

    def search(
        self,
        *,
        text: str | None = None,
        genres: Sequence[Genre] = (),
        in_stock: bool | None = None,
        sort: SortBy = SortBy.TITLE,
        limit: int,
        offset: int,
    ) -> tuple[int, Sequence[Book]]:
        """How many books match, and the wanted part of them."""
        query = select(Book)
        if text:
            query = query.where(Book.title.icontains(text, autoescape=True))
        if genres:
            query = query.where(Book.genre.in_(genres))
        if in_stock is not None:
            query = query.where(Book.stock > 0 if in_stock else Book.stock == 0)
        with self.sessions() as session:
            total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
            if offset > total:
                return total, []
            query = query.order_by(COLUMNS[sort], Book.id).limit(limit).offset(offset)
            return total, session.scalars(query).all()

    def book(self, isbn: str) -> Book:
        with self.sessions() as session:
            book = session.scalar(select(Book).where(Book.isbn == isbn))
        if book is None:
            raise NotFound(f"No book has the ISBN {isbn}.")
        return book

    def authors(self, *, limit: int, offset: int) -> Sequence[Author]:
        if offset > MAX_KEY:
            return []
        with self.sessions() as session:
            query = select(Author).order_by(Author.name).limit(limit).offset(offset)
            return session.scalars(query).all()

    def author(self, author_id: int) -> Author:
        author = None
        if 0 < author_id <= MAX_KEY:
            with self.sessions() as session:
                author = session.get(Author, author_id, options=[selectinload(Author.books)])
        if author is None:
            raise NotFound(f"No author has the number {author_id}.")
        return author
