"""Orders: quote, place, look at, pay, cancel."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Request, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..catalogue import MAX_KEY
from ..dependencies import SessionDep
from ..errors import Conflict, NotFound, OutOfStock
from ..schemas import LineIn, NewOrder, OrderOut, QuoteOut
from ..tables import Book, Order, OrderLine, OrderState

router = APIRouter(prefix="/orders", tags=["orders"])

OrderId = Annotated[int, Path(ge=1, le=MAX_KEY)]
NEXT = {OrderState.PLACED: OrderState.PAID, OrderState.PAID: OrderState.SENT}


@router.post("/quote")
async def quote(
    request: Request,
    lines: Annotated[list[LineIn], Body(embed=True)],
    currency: Literal["EUR", "USD", "JPY"] = "EUR",
) -> QuoteOut:
    """What some books would cost today."""
    prices, rates = request.app.state.prices, request.app.state.rates
    known = [line for line in lines if line.isbn in prices]
    total = sum((prices[line.isbn] * line.quantity for line in known), Decimal(0)) * rates[currency]
    return QuoteOut(
        currency=currency,
        total=round(total, 2),
        missing=[line.isbn for line in lines if line.isbn not in prices],
    )


@router.post("", status_code=status.HTTP_201_CREATED, response_model=OrderOut)
def place_order(new: NewOrder, session: SessionDep):
    order = Order(customer=new.customer)
    wanted: dict[str, int] = {}
    for line in new.lines:
        wanted[line.isbn] = wanted.get(line.isbn, 0) + line.quantity
    for isbn, quantity in wanted.items():
        book = session.scalar(select(Book).where(Book.isbn == isbn))
        if book is None:
            raise NotFound(f"No book has the ISBN {isbn}.")
        if book.stock < quantity:
            raise OutOfStock(isbn, book.stock)
        book.stock -= quantity
        order.lines.append(OrderLine(book=book, quantity=quantity, cents=book.cents))
    session.add(order)
    session.commit()
    return order


@router.get("/{order_id}", response_model=OrderOut)
def get_order(order_id: OrderId, session: SessionDep):
    return find(session, order_id)


@router.post("/{order_id}/next", response_model=OrderOut, response_model_include={"id", "state"})
def next_state(order_id: OrderId, session: SessionDep):
    """Pay what is placed, send what is paid."""
    order = find(session, order_id)
    if order.state not in NEXT:
        raise Conflict(f"The order is {order.state.value}.")
    order.state = NEXT[order.state]
    session.commit()
    return order


@router.delete("/{order_id}", response_model=OrderOut)
def cancel_order(order_id: OrderId, session: SessionDep):
    order = find(session, order_id)
    if order.state is not OrderState.PLACED:
        raise Conflict(f"The order is {order.state.value}.")
    order.state = OrderState.CANCELLED
    for line in order.lines:
        line.book.stock += line.quantity
    session.commit()
    return order


def find(session: Session, order_id: int) -> Order:
    order = session.get(Order, order_id)
    if order is None:
        raise NotFound(f"No order has the number {order_id}.")
    return order
