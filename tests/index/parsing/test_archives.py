"""One file that holds many documents, kept in step with the index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from index.indexing.build import sync
from index.indexing.report import SyncReport, report_of
from index.store import Store
from index.store.local import LocalStore
from tests.conftest import BigramEncoder
from tests.index.parsing.samples import TEXTS, make_docx, make_eml, make_pdf, make_zip

pytestmark = pytest.mark.slow


class Corpus:
    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "docs").mkdir()
        self.age = 100

    def write(self, data: bytes, name: str = "a.zip") -> Path:
        path = self.base / "docs" / name
        path.write_bytes(data)
        self.age -= 1
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - self.age))
        return path

    def sync(self, encoder: BigramEncoder | None = None, *, allow_empty: bool = False) -> tuple[Store, SyncReport]:
        folders = {"docs": self.base / "docs"}
        return sync(folders, self.base / "data", encoder or BigramEncoder(), base=self.base, allow_empty=allow_empty)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def paths(store: LocalStore) -> list[str]:
    return sorted(info.path for info in store.documents())


def test_members_come_change_and_go(corpus):
    first, second, third = (f"第{n}份报告，{text}".encode() for n, text in enumerate((*TEXTS, "三")))
    archive = corpus.write(make_zip({"x/1.txt": first, "2.txt": second}))
    store, report = corpus.sync()
    assert sorted(report.added) == paths(store) == ["docs/a.zip/2.txt", "docs/a.zip/x/1.txt"]
    ids = {info.path: info.id for info in store.documents()}

    store, report = corpus.sync()
    assert (report.unchanged, report.added) == (2, [])

    corpus.write(make_zip({"x/1.txt": first + b"!", "3.txt": third}))
    store, report = corpus.sync()
    assert (report.changed, report.added, report.removed) == (
        ["docs/a.zip/x/1.txt"],
        ["docs/a.zip/3.txt"],
        ["docs/a.zip/2.txt"],
    )
    assert {info.path: info.id for info in store.documents()}["docs/a.zip/x/1.txt"] == ids["docs/a.zip/x/1.txt"]

    archive.unlink()
    store, report = corpus.sync(allow_empty=True)
    assert (len(report.removed), paths(store)) == (2, [])


def test_what_cannot_be_read_is_kept_for_the_report(corpus):
    corpus.write(make_zip({"good.txt": TEXTS[0].encode(), "bad.docx": b"PK\x03\x04", "c.exe": b"MZ"}))
    corpus.write(b"%PDF-", "b.pdf")
    for _ in range(2):
        store, report = corpus.sync()
        assert [skipped.path for skipped in report_of(store).skipped] == [
            "docs/a.zip/bad.docx",
            "docs/a.zip/c.exe",
            "docs/b.pdf",
        ]
        assert len(report.skipped) == 3
    corpus.write(make_zip({"good.txt": TEXTS[0].encode()}))
    (corpus.base / "docs" / "b.pdf").unlink()
    store, report = corpus.sync()
    assert (report_of(store).skipped, report.skipped) == ([], [])


def test_the_last_good_version_stays(corpus):
    archive = make_zip({"1.txt": TEXTS[0].encode(), "2.docx": make_docx()})
    corpus.write(archive)
    corpus.write(make_pdf(), "b.pdf")
    before = paths(corpus.sync()[0])
    corpus.write(archive[:-30])
    corpus.write(make_pdf()[:100], "b.pdf")
    for _ in range(2):
        store, report = corpus.sync()
        assert paths(store) == before
        assert report.skipped and all("its last version stays in the index" in message for message in report.skipped)
    corpus.write(archive)
    store, report = corpus.sync()
    assert [skipped.path for skipped in report_of(store).skipped] == ["docs/b.pdf"]


class StoppingEncoder(BigramEncoder):
    """Fails when it meets the word."""

    def encode_documents(self, texts):
        if any("停" in text for text in texts):
            raise KeyboardInterrupt
        return super().encode_documents(texts)


def test_a_run_that_is_cut_short_inside_an_archive_goes_on_with_it(corpus):
    corpus.write(make_zip({"1.txt": TEXTS[0].encode(), "2.txt": "停在这里。".encode(), "3.txt": TEXTS[1].encode()}))
    with pytest.raises(KeyboardInterrupt):
        corpus.sync(StoppingEncoder())
    store, report = corpus.sync()
    assert paths(store) == [f"docs/a.zip/{number}.txt" for number in (1, 2, 3)]
    assert corpus.sync()[1].unchanged == 3


def test_two_members_of_one_name(corpus):
    with pytest.warns(UserWarning, match="Duplicate name"):
        import io
        import zipfile

        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("1.txt", TEXTS[0])
            archive.writestr("1.txt", TEXTS[1])
    corpus.write(out.getvalue())
    store, report = corpus.sync()
    assert paths(store) == ["docs/a.zip/1.txt"]
    assert "second file of this name" in report.skipped[0]


def test_a_message_and_its_attachments(corpus):
    corpus.write(make_eml(files={"b.docx": make_docx()}), "a.eml")
    assert paths(corpus.sync()[0]) == ["docs/a.eml", "docs/a.eml/b.docx"]


def test_what_is_too_much_is_said_of_a_message_that_was_read(corpus):
    part = b"--b\nContent-Disposition: attachment; filename=a.exe\n\nhello\n"
    head = b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nread\n"
    corpus.write(head + part * 1001 + b"--b--", "a.eml")
    store, report = corpus.sync()
    assert paths(store) == ["docs/a.eml"]
    assert report.skipped[-1] == "docs/a.eml: has more than 1000 attachments; save those that count as files"
