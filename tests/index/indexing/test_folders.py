"""A folder whose disk is not mounted must not empty the index."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from index.errors import EmptyCorpusError
from index.indexing.build import sync
from index.indexing.folders import Root, remember_roots, remembered_roots
from index.indexing.report import SyncReport
from tests.conftest import BigramEncoder


class Corpus:
    """Two collections of some files each, and their index."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.docs, self.more = base / "docs", base / "more"
        for folder in (self.docs, self.more):
            self.fill(folder)

    def fill(self, folder: Path, files: int = 4) -> None:
        folder.mkdir(exist_ok=True)
        for number in range(files):
            (folder / f"{number}.txt").write_text(f"{folder.name}的第{number}份文件。", encoding="utf-8")

    def sync(
        self, *only: Path, may_be_gone: bool = False, allow_empty: bool = False, rebuild: bool = False
    ) -> SyncReport:
        _, report = sync(
            {"docs": self.docs, "more": self.more},
            self.base / "data",
            BigramEncoder(),
            base=self.base,
            only=only,
            may_be_gone=may_be_gone,
            allow_empty=allow_empty,
            rebuild=rebuild,
        )
        return report


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    corpus = Corpus(tmp_path)
    assert corpus.sync().documents == 8
    return corpus


def empty(folder: Path) -> None:
    for path in folder.glob("*.txt"):
        path.unlink()


@pytest.mark.parametrize("rebuild", [False, True])
def test_an_empty_folder_does_not_empty_the_index(corpus: Corpus, rebuild: bool) -> None:
    empty(corpus.docs)
    (corpus.docs / "lost+found").mkdir()
    with pytest.raises(EmptyCorpusError, match=r"docs: is empty, but 4 files .* qa index --allow-empty"):
        corpus.sync(rebuild=rebuild)
    with pytest.raises(EmptyCorpusError):
        corpus.sync(corpus.docs, rebuild=rebuild)
    corpus.fill(corpus.docs)
    assert corpus.sync().documents == 8
    empty(corpus.docs)
    assert corpus.sync(allow_empty=True, rebuild=rebuild).documents == 4
    assert corpus.sync(rebuild=rebuild).documents == 4  # what was allowed once is not asked for again


def test_an_index_of_before_that_knows_no_folders_is_not_emptied(corpus: Corpus) -> None:
    (corpus.base / "data" / "corpus.json").unlink()
    empty(corpus.docs)
    with pytest.raises(EmptyCorpusError):
        corpus.sync()


@pytest.mark.parametrize("rebuild", [False, True])
def test_another_folder_does_not_take_most_of_the_index(corpus: Corpus, rebuild: bool) -> None:
    corpus.docs.rename(corpus.base / "away")
    corpus.fill(corpus.docs, files=1)
    with pytest.raises(EmptyCorpusError, match="docs: is another folder or disk .* 3 of 4 files"):
        corpus.sync(rebuild=rebuild)
    assert corpus.sync(allow_empty=True, rebuild=rebuild).documents == 5
    assert corpus.sync(rebuild=rebuild).documents == 5


def test_a_folder_that_was_copied_to_another_disk_is_the_same(corpus: Corpus) -> None:
    shutil.copytree(corpus.docs, corpus.base / "copy")
    shutil.rmtree(corpus.docs)
    (corpus.base / "copy").rename(corpus.docs)
    report = corpus.sync()
    assert (report.documents, report.removed) == (8, [])


def test_files_that_were_deleted_one_by_one_go(corpus: Corpus) -> None:
    for number in range(3):
        (corpus.docs / f"{number}.txt").unlink()
    assert corpus.sync().documents == 5
    last = corpus.docs / "3.txt"
    last.unlink()
    assert corpus.sync(last, may_be_gone=True).documents == 4
    assert corpus.sync().documents == 4


def test_folders_are_remembered_beside_an_index_that_is_kept_elsewhere(tmp_path: Path) -> None:
    root = {"docs": Root("/文档", 1, 2, 3)}
    remember_roots(tmp_path / "data", root)
    remember_roots(tmp_path / "data", {})
    assert remembered_roots(tmp_path / "data") == root
    (tmp_path / "data" / "corpus.json").write_text('{"docs": 1}')
    assert remembered_roots(tmp_path / "data") == {}
