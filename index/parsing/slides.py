"""PowerPoint (.pptx): each slide is a page, its title a heading; notes follow the slide."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

from index.parsing.draft import Draft
from index.types import ReadText

# A presentation may name one slide again and again.
_MAX_SLIDES = 5_000


def read_pptx(data: bytes) -> ReadText:
    """The text of a presentation."""
    from pptx import Presentation

    draft = Draft()
    slides = Presentation(io.BytesIO(data)).slides
    if len(slides) > _MAX_SLIDES:
        raise ValueError(f"has more than {_MAX_SLIDES} slides; split it")
    for slide in slides:
        draft.page()
        title = slide.shapes.title
        if title is not None:
            draft.heading(2, title.text_frame.text)
        for shape in _shapes(slide.shapes):
            draft.unfold()
            if title is not None and shape.shape_id == title.shape_id:
                continue
            _write(shape, draft)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            draft.paragraph(slide.notes_slide.notes_text_frame.text)
    return draft.finish()


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    """Shapes as they are read, groups opened. python-pptx has no types for what a group yields."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _write(shape: Any, draft: Draft) -> None:  # noqa: ANN401 - see _shapes
    if shape.has_text_frame:
        is_first = True
        for paragraph in shape.text_frame.paragraphs:
            (draft.paragraph if is_first else draft.line)(paragraph.text)
            is_first = is_first and not paragraph.text.strip()
    elif getattr(shape, "has_table", False):
        rows = [[cell.text_frame.text for cell in row.cells] for row in shape.table.rows]
        draft.table(rows, header_rows=1 if shape.table.first_row else None)
