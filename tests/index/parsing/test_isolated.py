"""The process that reads: what happens when it crashes, hangs, or is left half way."""

from __future__ import annotations

import time
from pathlib import Path

from index.parsing import ReadText, Unread
from index.parsing.isolated import Reader
from tests.index.parsing.samples import TEXTS, make_docx, make_pdf, make_zip

DOCX = Path("a.docx")


def test_one_process_reads_many_files():
    with Reader() as reader:
        for path, data in (
            (DOCX, make_docx()),
            (Path("b.pdf"), make_pdf()),
            (DOCX, b"PK\x03\x04"),
            (DOCX, make_docx()),
        ):
            (found,) = reader.contents(path, data)
            assert isinstance(found, Unread) == (len(data) < 10)


def test_a_reader_that_hangs_is_ended():
    with Reader(timeout_s=0.01) as reader:
        started = time.monotonic()
        (found,) = reader.contents(DOCX, make_docx())
        assert isinstance(found, Unread) and "takes longer than" in found.reason
        assert time.monotonic() - started < 10


def test_a_crash_costs_one_file():
    with Reader() as reader:
        assert list(reader.contents(DOCX, make_docx()))
        assert reader._process is not None
        reader._process.kill()
        reader._process.wait()
        (found,) = reader.contents(DOCX, make_docx())
        assert isinstance(found, ReadText)


def test_an_archive_left_half_way_does_not_answer_the_next_question():
    archive = make_zip({f"{number}.txt": f"{number}号会员。".encode() for number in range(2000)})
    with Reader() as reader:
        next(reader.contents(Path("a.zip"), archive))
        (found,) = reader.contents(DOCX, make_docx())
        assert isinstance(found, ReadText) and TEXTS[0] in found.text


def test_a_folder_called_index_does_not_stand_in_for_ours(tmp_path, monkeypatch):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "__init__.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    with Reader() as reader:
        (found,) = reader.contents(DOCX, make_docx())
    assert isinstance(found, ReadText)
