"""What can go wrong in a shop, and how callers are told."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


class ShopError(Exception):
    """Something a customer or the staff should be told."""

    status = 400
    code = "bad_request"


class NotFound(ShopError):
    status = 404
    code = "not_found"


class Conflict(ShopError):
    status = 409
    code = "conflict"


class OutOfStock(Conflict):
    code = "out_of_stock"

    def __init__(self, isbn: str, left: int) -> None:
        super().__init__(f"Only {left} left of {isbn}.")
        self.left = left


async def tell(request: Request, error: ShopError) -> JSONResponse:
    content = {"code": error.code, "message": str(error), "path": request.url.path}
    return JSONResponse({"error": content}, status_code=error.status)


def install(app: FastAPI) -> None:
    app.add_exception_handler(ShopError, tell)
