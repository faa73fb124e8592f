"""The process that reads: what happens when it crashes, hangs, or is left half way."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from index.chunking.passages import with_passages
from index.indexing.build import sync
from index.parsing import ReadText, Unread, contents, isolated
from index.parsing.isolated import IsolatedParser
from tests.conftest import BigramEncoder, seed
from tests.growth import FLOODS, assert_linear
from tests.index.parsing.samples import TEXTS, make_docx, make_pdf, make_zip

pytestmark = pytest.mark.slow

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


def test_text_that_takes_long_to_cut_is_given_up_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(isolated, "TIMEOUT_S", 0.01)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("第一章\n" * 30_000, encoding="utf-8")
    (tmp_path / "docs" / "b.txt").write_text("第二章\n\n一行。", encoding="utf-8")
    store, report = sync({"docs": tmp_path / "docs"}, tmp_path / "data", BigramEncoder(), base=tmp_path)
    assert [info.path for info in store.documents()] == ["docs/b.txt"]
    assert report.skipped == ["docs/a.txt: takes longer than 0 s to read; split it, or save it in another format"]


def test_text_that_needs_much_memory_to_cut_is_given_up_with_a_reason():
    def cut(read):
        raise MemoryError

    (content,) = contents(Path("a.txt"), TEXTS[0].encode(), cut)
    assert content == Unread("needs more memory than a document may; split it")


def test_what_was_cut_in_the_process_is_as_if_cut_here():
    text = "\n\n".join(seed(number) for number in range(3)) * 2
    assert len(text.encode()) > isolated.IN_PLACE_BYTES
    with IsolatedParser() as parser:
        (cut,) = parser.contents(Path("a.txt"), text.encode())
        (pdf,) = parser.contents(Path("a.pdf"), make_pdf(page_each=True))
    assert cut == with_passages(ReadText(text, "utf-8")) and cut.sections
    assert isinstance(pdf, ReadText) and pdf == with_passages(replace(pdf, sections=None)) and pdf.pages


def test_text_that_is_read_in_place_costs_what_its_size_is():
    def read(text):
        list(contents(Path("a.txt"), text.encode(), with_passages))

    lines = ("第一章\n", "作者:", "作者:\n", "# a\n", "1. \n", "| a ", "（一）", "2024年1月1日\n")
    assert_linear(read, [(unit, "") for unit in (*lines, *FLOODS[::3])], largest=isolated.IN_PLACE_BYTES)


def test_an_archive_may_take_so_long_in_all(monkeypatch):
    monkeypatch.setattr(isolated, "_ARCHIVE_TIMES", 0)
    with IsolatedParser() as parser:
        (content,) = parser.contents(Path("a.zip"), make_zip({"a.txt": b"abc"}))
    assert content == Unread("takes longer than 0 s to read all that is in it; unpack it")


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
