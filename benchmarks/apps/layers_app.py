"""Four middlewares that many applications have: a header, CORS, GZip (the body is too small for it), a session."""

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
# Without max_age the cookie that the load sends, signed once, stays good.
app.add_middleware(SessionMiddleware, secret_key="only for this benchmark", max_age=None)
app.add_middleware(GZipMiddleware)
app.add_middleware(CORSMiddleware, allow_origins=["http://shop.example"], allow_credentials=True)


@app.middleware("http")
async def served_by(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-served-by"] = "benchmark"
    return response


@app.get("/read")
async def read(request: Request):
    return {"visits": request.session["visits"]}


@app.get("/changed")
async def changed(request: Request):
    request.session["visits"] += 1
    return {"visits": request.session["visits"]}
