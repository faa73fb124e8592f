"""Images to lines of text, by the optional extra `ocr`. Its models come inside its package: no network."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any

from index.parsing.draft import Draft
from index.parsing.layout import Line, write
from index.types import ReadText

ADVICE = "needs OCR; install it with: pip install 'cited-qa[ocr]', then index again"
CAUTION = "was read by OCR; compare what you quote with the original"
_MIN_CONFIDENCE = 0.5
# Lines whose feet are nearer than this share of a character stand side by side.
_SAME_LINE = 0.5


@cache
def is_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


@cache
def _engine() -> Any:  # noqa: ANN401 - the library has no types
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "error"})


def recognise(image: Any) -> list[Line]:  # noqa: ANN401 - whatever the engine takes: a path, bytes, an array
    """The lines of an image in reading order, those that could not be read with some certainty left out."""
    result = _engine()(image)
    if result.boxes is None or result.txts is None or result.scores is None:
        return []
    lines = [
        # Images count from the top, pages from the bottom.
        Line(text, float(box[:, 0].min()), float(box[:, 0].max()), -float(box[:, 1].max()), 0)
        for box, text, score in zip(result.boxes, result.txts, result.scores, strict=True)
        if score >= _MIN_CONFIDENCE and text.strip()
    ]
    return _in_order(lines)


def _in_order(lines: Iterable[Line]) -> list[Line]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda item: -item.bottom):
        if rows and rows[-1][-1].bottom - line.bottom < _SAME_LINE * line.char_width:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda item: item.left)]


def read_image(data: bytes) -> ReadText:
    """The text in a picture.

    Raises:
        ValueError: the extra is not installed.
    """
    if not is_available():
        raise ValueError(f"is an image; {ADVICE}")
    draft = Draft()
    write([recognise(data)], draft)
    draft.notice("ocr", f"the image {CAUTION}")
    return draft.finish()
