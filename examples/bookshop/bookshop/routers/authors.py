"""Authors."""

from fastapi import APIRouter

from ..dependencies import CatalogueDep, PageDep
from ..schemas import AuthorOut, AuthorWithBooks

router = APIRouter(prefix="/authors", tags=["authors"])


@router.get("/", response_model=list[AuthorOut])
def list_authors(catalogue: CatalogueDep, page: PageDep):
    return catalogue.authors(limit=page.limit, offset=page.offset)


@router.get("/{author_id}", response_model=AuthorWithBooks, response_model_exclude_none=True)
def get_author(author_id: int, catalogue: CatalogueDep):
    return catalogue.author(author_id)
