"""Routes that show the documents, so that a citation can be checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse

from index.errors import QueryError
from index.types import DocumentInfo
from qa.api.deps import ENGINE_PROBLEMS, ReadyEngine
from qa.api.models import DocumentsParams, SliceParams
from qa.api.problems import documented
from qa.schemas import DocumentOut, DocumentPage, DocumentWarning

router = APIRouter(prefix="/v1/documents", tags=["documents"])

DocumentId = Annotated[str, Path(description="`document_id` of a hit or citation, `id` of a document")]


@router.get("", summary="List documents", responses=documented("invalid-request", *ENGINE_PROBLEMS))
def list_documents(engine: ReadyEngine, params: Annotated[DocumentsParams, Query()]) -> DocumentPage:
    """List the documents in the index, in order of their ids, a page at a time."""
    found = engine.documents(params.limit + 1, params.cursor)
    page = found[: params.limit]
    return DocumentPage(
        documents=[_document(info) for info in page], next_cursor=page[-1].id if len(found) > len(page) else None
    )


@router.get(
    "/{document_id}", summary="Describe a document", responses=documented("document-not-found", *ENGINE_PROBLEMS)
)
def get_document(engine: ReadyEngine, document_id: DocumentId) -> DocumentOut:
    """Describe a document: where it lies, how it was read, what to be wary of."""
    return _document(engine.document_info(document_id))


@router.get(
    "/{document_id}/text",
    summary="The text of a document",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "The text that all offsets refer to, or the slice of it that was asked for"},
        **documented("document-not-found", "invalid-request", *ENGINE_PROBLEMS),
    },
)
def get_text(engine: ReadyEngine, document_id: DocumentId, span: Annotated[SliceParams, Query()]) -> PlainTextResponse:
    """Return a document's text exactly as it was read, or `text[start:end]` of it, counted in code points.

    For a plain text file this is the decoded file, unchanged but for a byte order mark.
    """
    text = engine.document(document_id).text
    end = len(text) if span.end is None else span.end
    for name, offset in (("end", end), ("start", span.start)):
        if offset > len(text):
            raise QueryError(f"{name}: is {offset}, but the text has {len(text)} characters")
    if span.start > end:
        raise QueryError(f"start: is {span.start}, beyond the end {end}")
    # Text is served as text: a browser must not take a document's HTML for a page of ours.
    return PlainTextResponse(text[span.start : end], headers={"X-Content-Type-Options": "nosniff"})


def _document(info: DocumentInfo) -> DocumentOut:
    return DocumentOut(
        id=info.id, collection=info.collection, path=info.path, title=info.title, sha256=info.sha256, size=info.size,
        read_at=info.read_at, encoding=info.encoding, 
        warnings=[DocumentWarning(**asdict(notice)) for notice in info.notices], passages=info.passages,
    )  # fmt: skip
