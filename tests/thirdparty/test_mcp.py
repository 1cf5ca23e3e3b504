"""fastmcp: its server in an application, asked by its client."""

import asyncio
from typing import Any

from fastapi import FastAPI


def test_fastmcp_lists_and_calls_tools(serve: Any) -> None:
    from fastmcp import Client, FastMCP

    mcp = FastMCP("tools")

    @mcp.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    inner = mcp.http_app(path="/mcp")
    app = FastAPI(lifespan=inner.lifespan)
    app.mount("/tools", inner)
    url = str(serve(app).base_url.join("/tools/mcp"))

    async def use() -> tuple[list[str], str]:
        async with Client(url) as client:
            names = [tool.name for tool in await client.list_tools()]
            return names, str(await client.call_tool("add", {"a": 2, "b": 3}))

    names, result = asyncio.run(use())
    assert names == ["add"]
    assert "5" in result


def test_fastmcp_makes_tools_of_an_application_and_tells_of_errors(serve: Any) -> None:
    from fastmcp import Client, FastMCP
    from fastmcp.exceptions import ToolError
    from mcp.types import TextResourceContents

    shop = FastAPI()

    @shop.get("/price/{item}", operation_id="price")
    async def price(item: str, amount: int = 1) -> dict[str, Any]:
        return {"item": item, "price": 3 * amount}

    mcp = FastMCP.from_fastapi(shop, name="shop")

    @mcp.resource("note://{name}")
    async def note(name: str) -> str:
        return f"note of {name}"

    @mcp.tool
    async def fail() -> None:
        raise ToolError("not today")

    inner = mcp.http_app(path="/")
    app = FastAPI(lifespan=inner.lifespan)
    app.mount("/mcp", inner)
    url = str(serve(app).base_url.join("/mcp/"))

    async def use() -> tuple[Any, ...]:
        async with Client(url) as client:
            names = sorted(tool.name for tool in await client.list_tools())
            found = await client.call_tool("price", {"item": "pen", "amount": 2})
            (read,) = await client.read_resource("note://ann")
            try:
                await client.call_tool("fail", {})
            except ToolError as error:
                return names, found.structured_content, read, str(error)
        raise AssertionError("the tool should have failed")

    names, found, read, error = asyncio.run(use())
    assert names == ["fail", "price"]
    assert found == {"item": "pen", "price": 6}
    assert isinstance(read, TextResourceContents)
    assert (read.text, error) == ("note of ann", "not today")
