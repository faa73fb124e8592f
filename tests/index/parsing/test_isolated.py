"""The process that reads: what happens when it crashes, hangs, or is left half way."""

from __future__ import annotations

import time
from pathlib import Path

from index.parsing import ReadText, Unread
from index.parsing.isolated import IsolatedParser
from tests.index.parsing.samples import TEXTS, make_docx, make_pdf, make_zip

DOCX = Path("a.docx")


def test_one_process_reads_many_files():
    with IsolatedParser() as parser:
        for path, data in (
            (DOCX, make_docx()),
            (Path("b.pdf"), make_pdf()),
            (DOCX, b"PK\x03\x04"),
            (DOCX, make_docx()),
        ):
            (found,) = parser.contents(path, data)
            assert isinstance(found, Unread) == (len(data) < 10)


def test_a_reader_that_hangs_is_ended():
    with IsolatedParser(timeout_s=0.01) as parser:
        started = time.monotonic()
        (found,) = parser.contents(DOCX, make_docx())
        assert isinstance(found, Unread) and "takes longer than" in found.reason
        assert time.monotonic() - started < 10


def test_a_crash_costs_one_file():
    with IsolatedParser() as parser:
        assert list(parser.contents(DOCX, make_docx()))
        assert parser._process is not None
        parser._process.kill()
        parser._process.wait()
        (found,) = parser.contents(DOCX, make_docx())
        assert isinstance(found, ReadText)


def test_an_archive_left_half_way_does_not_answer_the_next_question():
    archive = make_zip({f"{number}.txt": f"{number}号会员。".encode() for number in range(2000)})
    with IsolatedParser() as parser:
        next(parser.contents(Path("a.zip"), archive))
        (found,) = parser.contents(DOCX, make_docx())
        assert isinstance(found, ReadText) and TEXTS[0] in found.text


def test_a_folder_called_index_does_not_stand_in_for_ours(tmp_path, monkeypatch):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with IsolatedParser() as parser:
        (found,) = parser.contents(DOCX, make_docx())
    assert isinstance(found, ReadText)
