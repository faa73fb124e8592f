"""The pages that a browser opens: the page itself (qa/web), and the OpenAPI description, which needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from qa.api.access import GUARDED, SECURITY_SCHEMES
from qa.api.problems import documented, problem_table
from qa.chat.errors import dialect_of, documented_in
from qa.schemas import EXAMPLE_QUESTION, Problem

DOCS = "/docs"
_DOCS_ASSETS = "/docs/assets"

DESCRIPTION = f"""
Ask a question of your own documents and get the passages that answer it, ranked, each with a citation that can be
checked character by character.

```
curl -s http://127.0.0.1:8000/v1/ask -H 'Content-Type: application/json' -d '{{"query": "{EXAMPLE_QUESTION}"}}'
```

`start` and `end` count code points of the document's text as `GET /v1/documents/{{id}}/text` returns it, and
`text[start:end]` is exactly the quote. Having no answer is not an error: the status is 200 and `status` is `no_answer`.
Each response carries an `X-Request-ID`; one that you send is echoed.

Where keys are configured, `/v1` needs one: `Authorization: Bearer KEY`, or `X-API-Key: KEY`.

Errors are [problem+json](https://www.rfc-editor.org/rfc/rfc9457): `type` is stable, `detail` says what to do. Where
OpenAI's or Dify's protocol is spoken they have its shape.

{problem_table()}
"""

_COMMON = ("foreign-origin", "wrong-host", "too-many-requests", "overloaded", "timed-out")
_BODY = ("slow-body", "ambiguous-length")
_KEYED = ("unauthorized", "forbidden")

TAGS: list[dict[str, Any]] = [
    {"name": "questions", "description": "Answers and passages"},
    {"name": "chat", "description": "The same answers in protocols that chat tools speak; `/mcp` is there too"},
    {"name": "documents", "description": "What is indexed, and the exact text that citations point into"},
    {"name": "changes", "description": "Documents that come and go, and the jobs that bring them into the index"},
    {"name": "health", "description": "For load balancers and supervisors"},
]

_PAGE = Path(__file__).parent.parent / "web"
_PAGE_ASSETS = "/web"

# Only our own files run; nothing in a document or a question can become a script, and no other site can frame the page.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


class Api(FastAPI):
    """FastAPI whose OpenAPI description speaks of our errors instead of FastAPI's."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            description = super().openapi()
            schemas = description["components"]["schemas"]
            description["components"]["securitySchemes"] = SECURITY_SCHEMES
            schemas["Problem"] = Problem.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            for path, operations in description["paths"].items():
                for operation in operations.values():
                    if path.startswith(GUARDED):
                        operation["security"] = [{name: []} for name in SECURITY_SCHEMES]
                    _drop_default_422(operation["responses"])
                    _add_common(operation)
                    if dialect := dialect_of(path):
                        documented_in(dialect, operation["responses"], schemas)
        return super().openapi()


def _drop_default_422(responses: dict[str, Any]) -> None:
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]


def _add_common(operation: dict[str, Any]) -> None:
    """Add the problems that a request can meet before its route sees it."""
    types = (*_COMMON, *(_KEYED if "security" in operation else ()), *(_BODY if "requestBody" in operation else ()))
    for status, response in documented(*types).items():
        known = operation["responses"].setdefault(str(status), response)
        if known is not response:
            known["description"] += f"; {response['description']}"


def add_pages(app: FastAPI) -> None:
    """Add the page with its files, and the OpenAPI page with its own."""
    app.include_router(router)
    app.mount(_PAGE_ASSETS, Assets(directory=_PAGE), name="web")
    app.mount(_DOCS_ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]), name="assets")
    app.add_api_route(DOCS, _page, include_in_schema=False)


async def _page() -> HTMLResponse:
    # Addresses are relative, so that the page also works behind a proxy that adds a prefix.
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title="cited-qa",
        swagger_js_url=f"{_DOCS_ASSETS[1:]}/swagger-ui-bundle.js",
        swagger_css_url=f"{_DOCS_ASSETS[1:]}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters={
            "validatorUrl": None,  # otherwise the page asks a public service whether it is valid
            "tryItOutEnabled": True,
            "displayRequestDuration": True,
            "defaultModelsExpandDepth": 0,
        },
    )


class Assets(StaticFiles):
    """Files of the page; a browser keeps them and asks each time whether they are still the same (ETag)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_checked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_PAGE_HEADERS)
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
    page = (_PAGE / "index.html").read_text(encoding="utf-8").replace('<base href="./">', f'<base href="{root}">')
    return HTMLResponse(page, headers=_PAGE_HEADERS)
