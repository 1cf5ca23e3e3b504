"""Forms and files, which are fallbacks for now."""

from typing import Annotated

from fastapi import FastAPI, File, Form, UploadFile
from pydantic import BaseModel

from ..case import case
from ..request import post
from ..trace import Trace
from .show import seen

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=edge"}


def multipart(*parts: tuple[str, bytes]) -> bytes:
    text = b"".join(
        b"--edge\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), body) for head, body in parts
    )
    return text + b"--edge--\r\n"


@case(
    [
        (200, post("/form", FORM, body=b"name=a&n=5")),
        (200, post("/form", FORM, body=b"name=%C3%A9+x&n=5&n=6")),
        (422, post("/form", FORM, body=b"name=a&n=x")),
        (422, post("/form", FORM)),
        (422, post("/form", {"Content-Type": "text/plain"}, body=b"name=a&n=5")),
        (200, post("/form", PARTS, body=multipart(('name="name"', b"a"), ('name="n"', b"7")))),
        ({400, 422}, post("/form", PARTS, body=b"nonsense")),
        (200, post("/model", FORM, body=b"name=a&tags=x&tags=y")),
        (422, post("/model", FORM, body=b"tags=x")),
        (200, post("/file", PARTS, body=multipart(('name="file"; filename="a.bin"', b"\x00\xff" * 50)))),
        (422, post("/file", PARTS, body=multipart(('name="other"', b"x")))),
        (
            200,
            post(
                "/upload",
                PARTS,
                body=multipart(('name="files"; filename="a"', b"1"), ('name="files"; filename="b"', b"22")),
            ),
        ),
        (200, post("/json", json=[1])),
    ],
    fallback=["POST /form", "POST /model", "POST /file", "POST /upload"],
)
def forms(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Model(BaseModel):
        name: str
        tags: list[str] = []

    @app.post("/form")
    async def form(name: Annotated[str, Form()], n: Annotated[int, Form()]):
        return seen(name=name, n=n)

    @app.post("/model")
    async def model(data: Annotated[Model, Form()]):
        return data

    @app.post("/file")
    def file(file: Annotated[bytes, File()]):
        return len(file)

    @app.post("/upload")
    async def upload(files: list[UploadFile]):
        return [[file.filename, len(await file.read())] for file in files]

    @app.post("/json")
    async def json(n: list[int]):
        return n

    return app
