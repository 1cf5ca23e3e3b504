"""What handlers ask for."""

import secrets
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, HTTPException, Query, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session, sessionmaker

from .catalogue import Catalogue
from .settings import Settings

staff_key = APIKeyHeader(name="X-API-Key", description="For the staff.", auto_error=False)


class Page(BaseModel):
    """Which part of a long list is wanted."""

    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0)


def get_settings(request: Request) -> Settings:
    return request.app.state.settings


def get_sessions(request: Request) -> sessionmaker[Session]:
    return request.app.state.sessions


def get_session(sessions: Annotated[sessionmaker[Session], Depends(get_sessions)]) -> Iterator[Session]:
    """A session that is rolled back unless the handler commits."""
    with sessions() as session:
        yield session


def get_catalogue(sessions: Annotated[sessionmaker[Session], Depends(get_sessions)]) -> Catalogue:
    return Catalogue(sessions)


def require_staff(
    settings: Annotated[Settings, Depends(get_settings)], key: Annotated[str | None, Security(staff_key)]
) -> None:
    if key is None:
        raise HTTPException(401, "Staff only.", headers={"WWW-Authenticate": "APIKey"})
    if not secrets.compare_digest(key.encode(), settings.staff_key.encode()):
        raise HTTPException(403, "That is not the key.")


SessionDep = Annotated[Session, Depends(get_session)]
CatalogueDep = Annotated[Catalogue, Depends(get_catalogue)]
PageDep = Annotated[Page, Query()]
