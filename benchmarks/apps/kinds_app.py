"""Kinds of routes beyond the plain ones of fastapi_app: dependencies, background tasks, streams, uploads."""

from collections.abc import AsyncIterator, Iterator

from fastapi import BackgroundTasks, Depends, FastAPI, UploadFile
from fastapi.responses import StreamingResponse

app = FastAPI()


def five() -> int:
    return 5


def opened() -> Iterator[int]:
    yield 7


async def awaited() -> AsyncIterator[int]:
    yield 9


@app.get("/plain")
async def plain():
    return {"message": "hello"}


@app.get("/def")
def in_thread(x: int = Depends(five), y: int = Depends(opened)):
    return {"x": x, "y": y}


@app.get("/sync-yield")
async def sync_yield(y: int = Depends(opened)):
    return {"y": y}


@app.get("/async-yield")
async def async_yield(y: int = Depends(awaited)):
    return {"y": y}


async def note(_text: str) -> None:
    """Stand for what is done after the answer."""


def note_in_thread(_text: str) -> None:
    """Do the same in a thread."""


@app.get("/background")
async def background(tasks: BackgroundTasks):
    tasks.add_task(note, "asked")
    return {"message": "hello"}


@app.get("/background-def")
async def background_def(tasks: BackgroundTasks):
    tasks.add_task(note_in_thread, "asked")
    return {"message": "hello"}


CHUNK = b"x" * 100


@app.get("/stream")
async def stream():
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield CHUNK

    return StreamingResponse(chunks(), media_type="text/plain")


@app.post("/upload")
async def upload(file: UploadFile):
    return {"size": file.size}
