"""Routes that show what the documents hold: example questions, the map, a document's outline, and why not another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request

from index.chunking.structure import headings, pages
from qa.api.deps import ENGINE_PROBLEMS, ReadyEngine
from qa.api.documents import DocumentId
from qa.api.models import (
    Examples,
    HeadingOut,
    MapDocument,
    MapOut,
    MapParams,
    MapPoint,
    Outline,
    PageStart,
    WhyNotRequest,
)
from qa.api.problems import documented
from qa.exploring.overview import Dot, Overview, Picture
from qa.schemas import WhyNotResponse

router = APIRouter(prefix="/v1")

_SNIPPET_CHARS = 60


async def _overview(request: Request) -> Overview:
    found = request.app.state.overview
    assert isinstance(found, Overview)
    return found


SharedOverview = Annotated[Overview, Depends(_overview)]


@router.get("/examples", tags=["questions"], summary="Questions to begin with", responses=documented(*ENGINE_PROBLEMS))
def examples(engine: ReadyEngine, overview: SharedOverview) -> Examples:
    """Questions that the documents answer, made of their own sentences; each has been asked and was answered."""
    return Examples(questions=[found.question for found in overview.questions(engine)])


@router.post(
    "/why-not",
    tags=["questions"],
    summary="Why a document is not first",
    responses=documented("malformed-json", "body-too-large", "invalid-request", "document-not-found", *ENGINE_PROBLEMS),
)
def why_not(engine: ReadyEngine, request: Annotated[WhyNotRequest, Body()]) -> WhyNotResponse:
    """Compare the best passage of a document, named by id, path or file name, with the first hit for a question."""
    return engine.why_not(request.document, request.query)


@router.get(
    "/documents/{document_id}/outline",
    tags=["documents"],
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
            HeadingOut(title=found.title, level=found.level, start=found.start, page=found.page)
            for found in headings(sections, text)
        ],
        pages=[PageStart(page=page, start=start) for page, start in pages(sections)],
        passages=[(section.start, section.end) for section in sections],
    )


@router.get(
    "/map",
    tags=["documents"],
    summary="The documents laid out by meaning",
    responses=documented("invalid-request", *ENGINE_PROBLEMS),
)
def corpus_map(engine: ReadyEngine, overview: SharedOverview, params: Annotated[MapParams, Query()]) -> MapOut:
    """Place the documents, or their passages where the documents are few, on a plane: near in meaning, near on it.

    A large corpus is shown by a sample. The passages of an answer are added when their ids are given.
    """
    return map_of(overview.picture(engine, params.passage_id))


def map_of(found: Picture) -> MapOut:
    """A map as the API shows it."""
    return MapOut(
        generation=found.generation,
        total=found.total,
        documents=[
            MapDocument(id=info.id, title=info.title, path=info.path, collection=info.collection)
            for info in found.documents
        ],
        points=[_point(dot) for dot in found.dots],
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
