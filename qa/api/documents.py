"""Routes that show the documents, so that a citation can be checked."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import PlainTextResponse

from index.chunking.structure import headings, pages
from index.errors import QueryError
from index.store import Store
from index.types import Document, DocumentInfo, Passage
from qa.api.models import (
    DocumentsParams,
    HeadingOut,
    MapDocument,
    MapOut,
    MapParams,
    MapPoint,
    Outline,
    PageParams,
    PageStart,
    PassageOut,
    PassagePage,
    SliceParams,
)
from qa.api.problems import Responses, documented
from qa.api.startup import ENGINE_PROBLEMS, ReadyEngine, SharedOverview
from qa.engine import not_found
from qa.exploring.overview import Dot, Picture
from qa.schemas import DocumentOut, DocumentPage, DocumentWarning

router = APIRouter(prefix="/v1", tags=["documents"])

GENERATION = "X-Index-Generation"
_MAX_CURSOR_DIGITS = 9
_SNIPPET_CHARS = 60

DocumentId = Annotated[str, Path(description="`document_id` of a hit or citation, `id` of a document")]
IfNoneMatch = Annotated[str | None, Header(description="The `ETag` of what is at hand; 304 while that is current")]
_UNCHANGED: Responses = {304: {"description": "What is at hand is current"}}


@router.get("/documents", summary="List documents", responses=documented("invalid-request", *ENGINE_PROBLEMS))
def list_documents(
    engine: ReadyEngine, params: Annotated[DocumentsParams, Query()], response: Response
) -> DocumentPage:
    """List the documents in the index, in order of their ids, a page at a time; `q` looks in titles and paths.

    A cursor stays good while documents come and go.
    """
    store = engine.store
    response.headers.update(_headers(store))
    infos = store.documents(params.limit + 1, params.cursor, params.q)
    page = infos[: params.limit]
    return DocumentPage(
        documents=[_document(info) for info in page], next_cursor=page[-1].id if len(infos) > len(page) else None
    )


@router.get(
    "/documents/{document_id}",
    summary="Describe a document",
    response_model=DocumentOut,
    responses={**_UNCHANGED, **documented("document-not-found", *ENGINE_PROBLEMS)},
)
def get_document(
    engine: ReadyEngine, document_id: DocumentId, response: Response, if_none_match: IfNoneMatch = None
) -> DocumentOut | Response:
    """Describe a document: where it lies, how it was read, what to be wary of."""
    store = engine.store
    info = store.document_info(document_id) or not_found(document_id)
    response.headers.update(_headers(store, info))
    return _unchanged(response, if_none_match) or _document(info)


@router.get(
    "/documents/{document_id}/text",
    summary="The text of a document",
    response_class=PlainTextResponse,
    responses={
        200: {"description": "The text that all offsets refer to, or the slice of it that was asked for"},
        **_UNCHANGED,
        **documented("document-not-found", "invalid-request", *ENGINE_PROBLEMS),
    },
)
def get_text(
    engine: ReadyEngine,
    document_id: DocumentId,
    span: Annotated[SliceParams, Query()],
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a document's text exactly as it was read, or `text[start:end]` of it, counted in code points.

    For a plain text file this is the decoded file, unchanged but for a byte order mark.
    """
    store = engine.store
    document = store.document(document_id) or not_found(document_id)
    text = document.text
    end = len(text) if span.end is None else span.end
    for name, offset in (("end", end), ("start", span.start)):
        if offset > len(text):
            raise QueryError(f"{name}: is {offset}, but the text has {len(text)} characters")
    if span.start > end:
        raise QueryError(f"start: is {span.start}, beyond the end {end}")
    # Text is served as text: a browser must not take a document's HTML for a page of ours.
    response.headers.update({**_headers(store, document), "X-Content-Type-Options": "nosniff"})
    return _unchanged(response, if_none_match) or PlainTextResponse(
        text[span.start : end], headers=dict(response.headers)
    )


@router.get(
    "/documents/{document_id}/passages",
    summary="The passages of a document",
    response_model=PassagePage,
    responses={**_UNCHANGED, **documented("document-not-found", "invalid-request", *ENGINE_PROBLEMS)},
)
def list_passages(
    engine: ReadyEngine,
    document_id: DocumentId,
    params: Annotated[PageParams, Query()],
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> PassagePage | Response:
    """List the passages that a document was cut into, in reading order, a page at a time."""
    if params.cursor and not (params.cursor.isascii() and params.cursor.isdecimal()):
        raise QueryError("cursor: is none of ours; pass `next_cursor` of the page before")
    after = int(params.cursor[:_MAX_CURSOR_DIGITS] or 0)
    store = engine.store
    info = store.document_info(document_id) or not_found(document_id)
    response.headers.update(_headers(store, info))
    passages = store.document_passages(document_id, params.limit + 1, after)
    page = passages[: params.limit]
    return _unchanged(response, if_none_match) or PassagePage(
        passages=[_passage(passage) for passage in page],
        next_cursor=str(after + len(page)) if len(passages) > len(page) else None,
    )


@router.get(
    "/documents/{document_id}/outline",
    summary="The outline of a document",
    responses=documented("document-not-found", *ENGINE_PROBLEMS),
)
def outline(engine: ReadyEngine, document_id: DocumentId) -> Outline:
    """List a document's articles and headings, where its pages begin, and the spans of its passages, by offset."""
    text = engine.document(document_id).text
    sections = engine.store.sections(document_id)
    return Outline(
        document_id=document_id,
        characters=len(text),
        headings=[
            HeadingOut(title=heading.title, level=heading.level, start=heading.start, page=heading.page)
            for heading in headings(sections, text)
        ],
        pages=[PageStart(page=page, start=start) for page, start in pages(sections)],
        passages=[(section.start, section.end) for section in sections],
    )


@router.get(
    "/map",
    summary="The documents laid out by meaning",
    responses=documented("invalid-request", *ENGINE_PROBLEMS),
)
def corpus_map(engine: ReadyEngine, overview: SharedOverview, params: Annotated[MapParams, Query()]) -> MapOut:
    """Place the documents, or their passages where the documents are few, on a plane: near in meaning, near on it.

    A large corpus is shown by a sample. The passages of an answer are added when their ids are given.
    """
    return map_of(overview.picture(engine, params.passage_id))


def _headers(store: Store, document: Document | DocumentInfo | None = None) -> dict[str, str]:
    """Which generation answers, and which version of a document it has."""
    headers = {GENERATION: str(store.generation), "Cache-Control": "no-cache"}
    return {**headers, "ETag": etag_of(document)} if document else headers


def _unchanged(response: Response, if_none_match: str | None) -> Response | None:
    """The answer to a client that has the version which `response` is about."""
    if if_none_match is None or not is_known(if_none_match, response.headers["ETag"]):
        return None
    return Response(status_code=304, headers=dict(response.headers))


def _passage(passage: Passage) -> PassageOut:
    return PassageOut(
        passage_id=passage.id,
        title=passage.title,
        heading_path=list(passage.heading_path),
        page=passage.page,
        paragraph=passage.paragraph,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        damaged=list(passage.damaged),
    )


def _document(info: DocumentInfo) -> DocumentOut:
    return DocumentOut(
        id=info.id,
        collection=info.collection,
        path=info.path,
        title=info.title,
        sha256=info.sha256,
        size=info.size,
        read_at=info.read_at,
        encoding=info.encoding,
        warnings=[DocumentWarning(**asdict(notice)) for notice in info.notices],
        passages=info.passages,
    )


def map_of(picture: Picture) -> MapOut:
    """A map as the API shows it."""
    return MapOut(
        generation=picture.generation,
        total=picture.total,
        documents=[
            MapDocument(id=info.id, title=info.title, path=info.path, collection=info.collection)
            for info in picture.documents
        ],
        points=[_point(dot) for dot in picture.dots],
    )


def _point(dot: Dot) -> MapPoint:
    passage = dot.passage
    if passage is None:
        return MapPoint(x=dot.x, y=dot.y, document=dot.document)
    return MapPoint(
        x=dot.x,
        y=dot.y,
        document=dot.document,
        passage_id=passage.id,
        start=passage.start,
        end=passage.end,
        heading=[passage.title, *passage.heading_path][-1],
        text=" ".join(passage.text[:_SNIPPET_CHARS].split()),
    )


def etag_of(document: Document | DocumentInfo) -> str:
    """The tag of a document's description, its text and its passages: it changes whenever one of them does."""
    parts = (
        document.id,
        document.path,
        document.title,
        document.sha256,
        document.size,
        document.mtime_ns,
        document.read_at,
        document.encoding,
        document.notices,
        document.generation,
    )
    return f'"{hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def is_same(if_match: str, etag: str) -> bool:
    """Whether `If-Match` names the tag, or any."""
    return not {"*", etag}.isdisjoint(_tags(if_match))


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether `If-None-Match` names the tag, or any; a weak one will do."""
    return is_same(", ".join(tag.removeprefix("W/") for tag in _tags(if_none_match)), etag)


def _tags(header: str) -> list[str]:
    return [tag.strip() for tag in header.split(",")]
