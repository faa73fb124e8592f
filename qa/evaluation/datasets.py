"""Question files in the formats that `qa eval` reads: JSON Lines, BEIR folders and SQuAD-style JSON.

BEIR and SQuAD bring their own documents; these are indexed in a temporary place with the configured model.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from index.errors import QueryError
from index.types import Progress
from qa.configuration.config import Config
from qa.engine import Engine
from qa.evaluation.evaluate import EvalQuestion, load_questions

# So many files lie in one folder of a temporary corpus.
_FILES_PER_FOLDER = 1000


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions, and the documents they are asked of by name; None where those of the configuration are meant."""

    questions: list[EvalQuestion]
    documents: Mapping[str, str] | None = None


class _SquadAnswer(BaseModel):
    text: str


class _SquadQuestion(BaseModel):
    question: str
    answers: list[_SquadAnswer] = []
    is_impossible: bool = False


class _SquadParagraph(BaseModel):
    context: str
    qas: list[_SquadQuestion]


class _SquadArticle(BaseModel):
    paragraphs: list[_SquadParagraph]


class _Squad(BaseModel):
    data: list[_SquadArticle]


def load_dataset(path: Path) -> Dataset:
    """Read a BEIR folder (or one of its qrels files), a SQuAD-style `.json` file, or else JSON Lines.

    Raises:
        QueryError: names the file, and the line or field, that can't be used.
    """
    if path.is_dir() or path.suffix == ".tsv":
        return _beir(path)
    return _squad(path) if path.suffix == ".json" else Dataset(load_questions(path))


@contextmanager
def engine_over(documents: Mapping[str, str], config: Config, progress: Progress | None = None) -> Iterator[Engine]:
    """An engine over a temporary index of these documents; their hits' paths end in the name of `file_name`."""
    with tempfile.TemporaryDirectory(prefix="cited-qa-eval-") as folder:
        corpus = Path(folder).resolve() / "documents"
        for number, text in enumerate(documents.values()):
            file = corpus / str(number // _FILES_PER_FOLDER) / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="replace")
        places = {"corpus": {"documents": corpus}, "data_dir": corpus.parent / "data", "store": "local"}
        engine = Engine(config.model_copy(update=places))
        engine.index(progress=progress)
        yield engine


def document_names(documents: Mapping[str, str]) -> dict[str, str]:
    """The documents' names by the stem of the file that `engine_over` writes them to."""
    return {str(number): name for number, name in enumerate(documents)}


def _squad(path: Path) -> Dataset:
    try:
        squad = _Squad.model_validate_json(_read(path))
    except ValidationError as exc:
        raise QueryError(f"{path}: {_problem(exc)}; give SQuAD-style JSON, or questions as .jsonl") from exc
    documents: dict[str, str] = {}
    questions = []
    for paragraph in (paragraph for article in squad.data for paragraph in article.paragraphs):
        name = documents.setdefault(paragraph.context, str(len(documents)))
        for asked in paragraph.qas:
            is_answerable = bool(asked.answers) and not asked.is_impossible
            questions.append(
                EvalQuestion(
                    question=asked.question,
                    answers=list(dict.fromkeys(answer.text for answer in asked.answers)) if is_answerable else [],
                    relevant={name: 1} if is_answerable else {},
                    kind="answerable" if is_answerable else "unanswerable",
                )
            )
    if not questions:
        raise QueryError(f"{path}: holds no questions")
    return Dataset(questions, {name: context for context, name in documents.items()})


def _beir(path: Path) -> Dataset:
    folder = path if path.is_dir() else path.parent.parent
    qrels = _qrels(path if path.suffix == ".tsv" else _split(folder))
    documents = {
        document["_id"]: "\n\n".join(part for part in (document.get("title", ""), document["text"]) if part)
        for document in _json_lines(folder / "corpus.jsonl", "_id", "text")
    }
    questions = [
        EvalQuestion(question=query["text"], relevant=qrels[query["_id"]], itself=query["_id"])
        for query in _json_lines(folder / "queries.jsonl", "_id", "text")
        if query["_id"] in qrels
    ]
    if not questions:
        raise QueryError(f"{path}: no question of queries.jsonl is judged in the qrels")
    return Dataset(questions, documents)


def _split(folder: Path) -> Path:
    """The qrels to use: those called test, or else the first."""
    files = sorted((folder / "qrels").glob("*.tsv"), key=lambda file: (file.stem != "test", file.name))
    if not files:
        raise QueryError(f"{folder}: holds no qrels/*.tsv; give a BEIR folder with corpus.jsonl and queries.jsonl")
    return files[0]


def _qrels(file: Path) -> dict[str, dict[str, int]]:
    """Relevant documents and their grades by question."""
    qrels: dict[str, dict[str, int]] = {}
    for number, row in enumerate(csv.reader(_read(file).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
        if number == 1 and row[-1:] == ["score"] or not row:
            continue
        try:
            query, document, score = row
            grade = int(float(score))
        except ValueError as exc:
            raise QueryError(f"{file}:{number}: must be a question's id, a document's id and a number") from exc
        if grade > 0:
            qrels.setdefault(query, {})[document] = grade
    return qrels


def _json_lines(file: Path, *needed: str) -> Iterator[dict[str, str]]:
    """Objects of a JSON Lines file whose `needed` fields, and `title` if there is one, are strings."""
    reader: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
    for number, line in enumerate(_read(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = reader.validate_json(line)
        except ValidationError as exc:
            raise QueryError(f"{file}:{number}: {_problem(exc)}") from exc
        if wrong := [name for name in (*needed, "title") if not isinstance(fields.get(name, ""), str)]:
            raise QueryError(f"{file}:{number}: {wrong[0]}: must be a string")
        if missing := [name for name in needed if name not in fields]:
            raise QueryError(f"{file}:{number}: {missing[0]}: is missing")
        yield fields


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise QueryError(f"{file}: {getattr(exc, 'strerror', None) or 'is not UTF-8'}") from exc


def _problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]
