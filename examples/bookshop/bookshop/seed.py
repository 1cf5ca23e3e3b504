"""The books a new shop starts with."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from .tables import Author, Book, Genre

AUTHORS = {
    "Mary Shelley": 1797,
    "Charles Darwin": 1809,
    "Emily Dickinson": 1830,
    "Lewis Carroll": 1832,
    "Émile Zola": 1840,
    "夏目 漱石": 1867,
    "Homer": None,
}

# ISBN, title, genre, year, cents, stock, author
BOOKS = [
    ("9780141439471", "Frankenstein", Genre.NOVEL, 1818, 899, 4, "Mary Shelley"),
    ("9780199537150", "The Last Man", Genre.NOVEL, 1826, 1150, 1, "Mary Shelley"),
    ("9780451529060", "On the Origin of Species", Genre.SCIENCE, 1859, 1295, 7, "Charles Darwin"),
    ("9780140432688", "The Voyage of the Beagle", Genre.SCIENCE, 1839, 1400, 2, "Charles Darwin"),
    ("9780316184137", "Complete Poems", Genre.POETRY, 1890, 2100, 3, "Emily Dickinson"),
    ("9780141439761", "Alice's Adventures in Wonderland", Genre.CHILDREN, 1865, 750, 12, "Lewis Carroll"),
    ("9780141192468", "The Hunting of the Snark", Genre.POETRY, 1876, 600, 0, "Lewis Carroll"),
    ("9782070411429", "Germinal", Genre.NOVEL, 1885, 980, 5, "Émile Zola"),
    ("9784101010014", "吾輩は猫である", Genre.NOVEL, 1905, 850, 6, "夏目 漱石"),
    ("9784101010038", "坊っちゃん", Genre.NOVEL, 1906, 420, 9, "夏目 漱石"),
    ("9780140268867", "The Odyssey", Genre.POETRY, -700, 1600, 8, "Homer"),
]


def seed(session: Session) -> None:
    """Fill an empty shop; leave any other as it is."""
    if session.scalar(select(Book.id).limit(1)) is not None:
        return
    authors = {name: Author(name=name, born=born) for name, born in AUTHORS.items()}
    session.add_all(authors.values())
    session.flush()
    for isbn, title, genre, year, cents, stock, author in BOOKS:
        book = Book(isbn=isbn, title=title, genre=genre, year=year, cents=cents, stock=stock)
        book.author = authors[author]
        session.add(book)
        session.flush()
    session.commit()
