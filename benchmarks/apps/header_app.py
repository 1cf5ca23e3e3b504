"""One route behind one `@app.middleware("http")`; kinds_app has the same route without it."""

from fastapi import FastAPI, Request

app = FastAPI()


@app.middleware("http")
async def served_by(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-served-by"] = "benchmark"
    return response


@app.get("/plain")
async def plain():
    return {"message": "hello"}
