"""Books: everybody looks, the staff changes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response, status
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ..catalogue import MAX_KEY, SortBy
from ..dependencies import CatalogueDep, PageDep, SessionDep, require_staff
from ..errors import Conflict, NotFound
from ..schemas import BookChange, BookOut, NewBook
from ..tables import Author, Book, Genre

router = APIRouter(prefix="/books", tags=["books"])


@router.get("", response_model=list[BookOut])
def list_books(catalogue: CatalogueDep, page: PageDep, response: Response):
    total, rows = catalogue.search(limit=page.limit, offset=page.offset)
    response.headers["X-Total-Count"] = str(total)
    return rows


@router.get("/search", response_model=list[BookOut])
def search_books(
    catalogue: CatalogueDep,
    response: Response,
    q: Annotated[str | None, Query(max_length=100, description="Part of the title.")] = None,
    genre: Annotated[list[Genre] | None, Query()] = None,
    in_stock: bool | None = None,
    sort: SortBy = SortBy.TITLE,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
):
    total, rows = catalogue.search(text=q, genres=genre or (), in_stock=in_stock, sort=sort, limit=limit, offset=offset)
    response.headers["X-Total-Count"] = str(total)
    return rows


@router.get("/genres")
async def list_genres() -> list[Genre]:
    return list(Genre)


@router.get("/{isbn}")
def get_book(isbn: str, catalogue: CatalogueDep) -> BookOut:
    return BookOut.model_validate(catalogue.book(isbn))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[Depends(require_staff)],
    response_model=BookOut,
)
def add_book(new: NewBook, session: SessionDep, response: Response):
    author = session.get(Author, new.author_id) if 0 < new.author_id <= MAX_KEY else None
    if author is None:
        raise NotFound(f"No author has the number {new.author_id}.")
    if session.scalar(select(Book.id).where(Book.isbn == new.isbn)) is not None:
        raise Conflict(f"A book with the ISBN {new.isbn} exists.")
    book = Book(**new.model_dump(exclude={"price"}), cents=int(new.price * 100))
    session.add(book)
    try:
        session.commit()
    except (IntegrityError, OverflowError) as error:
        raise Conflict("The book could not be added.") from error
    response.headers["Location"] = f"/books/{book.isbn}"
    return book


@router.patch("/{isbn}", dependencies=[Depends(require_staff)])
def change_book(isbn: str, change: BookChange, session: SessionDep) -> BookOut:
    book = session.scalar(select(Book).where(Book.isbn == isbn))
    if book is None:
        raise NotFound(f"No book has the ISBN {isbn}.")
    if change.title is not None:
        book.title = change.title
    if change.price is not None:
        book.cents = int(change.price * 100)
    if change.stock is not None:
        book.stock = min(change.stock, 1_000_000)
    session.commit()
    return BookOut.model_validate(book)


@router.delete(
    "/{isbn}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(require_staff)],
)
def remove_book(isbn: str, session: SessionDep) -> None:
    book = session.scalar(select(Book).where(Book.isbn == isbn))
    if book is None:
        raise NotFound(f"No book has the ISBN {isbn}.")
    session.delete(book)
    try:
        session.commit()
    except IntegrityError as error:
        raise Conflict("The book has been ordered.") from error
