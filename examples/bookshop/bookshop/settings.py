"""What can be set from outside."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """How one shop is set up."""

    database: Path
    staff_key: str = "let-me-in"
    origins: tuple[str, ...] = ("http://localhost:5173",)

    @classmethod
    def from_environment(cls) -> "Settings":
        default = Path(tempfile.gettempdir()) / "bookshop.sqlite3"
        origins = os.environ.get("BOOKSHOP_ORIGINS", "http://localhost:5173")
        return cls(
            database=Path(os.environ.get("BOOKSHOP_DATABASE", default)),
            staff_key=os.environ.get("BOOKSHOP_STAFF_KEY", "let-me-in"),
            origins=tuple(origin.strip() for origin in origins.split(",") if origin.strip()),
        )
