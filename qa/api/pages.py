"""The page: one shell at each of its addresses, and the files that it is made of (qa/web)."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

FOLDER = Path(__file__).parent.parent / "web"
ASSETS = "/web"

# Only our own files run; nothing in a document or a question can become a script, and no other site can frame the page.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


class Assets(StaticFiles):
    """Files of the page; a browser keeps them and asks each time whether they are still the same (ETag)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await super().__call__(scope, receive, send_checked)


@router.get("/")
@router.get("/documents")
@router.get("/map")
async def shell() -> HTMLResponse:
    """The page; what it shows is told by its address."""
    return _shell("./")


@router.get("/documents/{document_id}")
async def document_shell(document_id: str) -> HTMLResponse:
    """The page, showing a document."""
    return _shell("../")


def _shell(root: str) -> HTMLResponse:
    # Addresses are relative, so that the page also works behind a proxy that adds a prefix.
    page = (FOLDER / "index.html").read_text(encoding="utf-8").replace('<base href="./">', f'<base href="{root}">')
    return HTMLResponse(page, headers=_HEADERS)
