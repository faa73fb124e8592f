"""A look at everything that a question needs, and whether it works."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from index.encoder import Encoder
from index.errors import CitedQAError
from index.store import Store
from index.text.segmenter import PLAIN, read_dictionary, read_synonyms
from qa.configuration.config import Config, load_config, unknown_variables
from qa.editing.jobs import Jobs
from qa.engine import Engine
from qa.evaluation.self_test import PASSED, self_test

_PACKAGES = ("cited-qa", "faiss-cpu", "tantivy", "opencc", "sentence-transformers", "openai")
# What a server answers that has no list of models, and how many names of a list are shown.
_NO_LIST = (404, 405, 501)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def examine(config_file: Path | None = None) -> Iterator[Finding]:
    """Look at one thing after the other, as far as they can be reached."""
    yield Finding("python", True, platform.python_version())
    for package in _PACKAGES:
        yield _package(package)
    yield Finding("segmenter", True, PLAIN.fingerprint)
    try:
        config = load_config(config_file)
    except CitedQAError as exc:
        yield Finding("configuration", False, str(exc))
        return
    strangers = unknown_variables()
    yield Finding("configuration", not strangers, f"unknown in the environment: {strangers}" if strangers else "valid")
    if config.store == "milvus":
        yield _package("pymilvus", "'cited-qa[milvus]'")
    for name, folder in config.corpus_folders.items():
        yield Finding(f"collection {name}", folder.is_dir(), str(folder) if folder.is_dir() else f"{folder}: missing")
    yield from _lexicon(config)
    yield from _index(config)
    yield from _jobs(config)
    yield _language_model(config)


def _jobs(config: Config) -> Iterator[Finding]:
    jobs = Jobs(config.index_dir)
    if not jobs.exists:
        return
    try:
        left = jobs.count_left()
        yield Finding("jobs", True, f"{left} not finished; a running server does them" if left else "all finished")
    except CitedQAError as exc:
        yield Finding("jobs", False, str(exc))


def _lexicon(config: Config) -> Iterator[Finding]:
    try:
        if config.dictionary_file:
            words = len(read_dictionary(config.dictionary_file))
            yield Finding("dictionary", True, f"{words} words in {config.dictionary_file}")
        if config.synonyms_file:
            groups = len(read_synonyms(config.synonyms_file).groups)
            yield Finding("synonyms", True, f"{groups} groups in {config.synonyms_file}")
    except CitedQAError as exc:
        yield Finding("dictionary and synonyms", False, str(exc))


def _package(name: str, source: str = "-e .") -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"not installed; run: pip install -c constraints.txt {source}")


def _index(config: Config) -> Iterator[Finding]:
    try:
        engine = Engine(config)
        store = engine.store
        verdict = store.check()
        yield Finding("database", verdict == "ok", f"{verdict} ({store.where})")
        documents, passages = store.counts()
        yield Finding("index", True, f"{documents} documents, {passages} passages, generation {store.generation}")
        yield Finding("encoder", True, f"{store.encoder}, {store.dim} dimensions{_prompts(engine.encoder)}")
        yield _self_test(engine, store)
    except CitedQAError as exc:
        yield Finding("index", False, str(exc))


def _prompts(encoder: Encoder) -> str:
    """What an encoder puts before text: a model that misses its prompt finds less, and nothing else shows it."""
    query, document = encoder.prompts.query.text, encoder.prompts.document.text
    return f", query prompt {query!r}, document prompt {document!r}" if query or document else ""


def _self_test(engine: Engine, store: Store) -> Finding:
    if not store.counts()[0]:
        return Finding("self-test", False, "the index holds no documents; put some into the corpus and run: qa index")
    failure = self_test(engine, store)
    return Finding("self-test", failure is None, failure or PASSED)


def _language_model(config: Config) -> Finding:
    """Whether the language model's endpoint answers and has the model, as far as it says."""
    name = "language model"
    if not config.llm.model:
        return Finding(name, True, "none; answers are quoted from the documents")
    from qa.llm.model import LanguageModel, ModelError

    place = f"{config.llm.model} at {config.llm.base_url}"
    try:
        listed = LanguageModel(config.llm).models()
    except ModelError as exc:
        if exc.status in _NO_LIST:
            return Finding(name, True, f"{place}: answers, but does not list its models")
        return Finding(name, False, f"{place}: {exc.detail}; check the keys of llm")
    # Ollama lists what it calls qwen3 as qwen3:latest.
    if listed and config.llm.model.removesuffix(":latest") not in {model.removesuffix(":latest") for model in listed}:
        return Finding(name, False, f"{place}: the endpoint has no such model; it lists {', '.join(listed[:_SHOWN])}")
    return Finding(name, True, f"{place} answers")
