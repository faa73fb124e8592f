"""Pairs of texts that belong together, by kind: what the model is trained on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from training import sources
from training.questions import pseudo_question, sentences_of
from training.sources import Article
from training.synonyms import sharing

Pair = tuple[str, str]
_PASSAGE_CHARS = 700
# A shorter sentence is hardly more than the question made from it.
_TOLD_CHARS = 16


def passage_of(article: Article, sentence: str, keep: bool, english: bool = False) -> str:
    """The title and the text of `article`, with or without the sentence that is asked for."""
    title, text = (article.title_en, article.text_en) if english else (article.title, article.text)
    if not keep:
        shorter = text.replace(sentence, " ", 1)
        text = shorter if len(shorter) > len(text) // 3 else text
    return f"{title} {text}"[: _PASSAGE_CHARS * (3 if english else 1)]


def article_pairs(articles: Iterable[Article], rng: random.Random, keep: float) -> Iterator[Pair]:
    """A pseudo-question or a sentence, and the rest of its article under the law's title."""
    for article in articles:
        parts = sentences_of(article.text)
        if not parts:
            continue
        sentence = rng.choice(parts)
        query = pseudo_question(sentence, rng) if rng.random() < 0.6 else sentence
        yield query, passage_of(article, sentence, rng.random() < keep)


def english_article_pairs(articles: Iterable[Article], rng: random.Random, keep: float) -> Iterator[Pair]:
    """The same for the English of the articles."""
    for article in articles:
        parts = sentences_of(article.text_en)
        if parts:
            sentence = rng.choice(parts)
            query = pseudo_question(sentence, rng) if rng.random() < 0.6 else sentence
            yield query, passage_of(article, sentence, rng.random() < keep, english=True)


def answer_pairs(articles: Iterable[Article], rng: random.Random) -> Iterator[Pair]:
    """A pseudo-question and the sentence it was made from."""
    for article in articles:
        for text in (article.text, article.text_en):
            parts = [part for part in sentences_of(text) if len(part) > _TOLD_CHARS]
            if parts and rng.random() < 0.4:
                sentence = rng.choice(parts)
                yield pseudo_question(sentence, rng), sentence


def translation_pairs(articles: Iterable[Article], rng: random.Random) -> Iterator[Pair]:
    """English and Chinese of an article, whole, by sentence where they correspond, and asked across languages."""
    for article in articles:
        if not article.text_en:
            continue
        chinese, english = sentences_of(article.text), sentences_of(article.text_en)
        if len(chinese) == len(english) and chinese:
            place = rng.randrange(len(chinese))
            yield english[place], chinese[place]
        if english:
            yield pseudo_question(rng.choice(english), rng), f"{article.title} {article.text}"[:_PASSAGE_CHARS]
        yield f"{article.title_en} {article.text_en}"[: 3 * _PASSAGE_CHARS], article.text[:_PASSAGE_CHARS]


def document_pairs(data: Path, language: str, rng: random.Random) -> Iterator[Pair]:
    """A heading under its document's title and the section; a sentence and the rest of the section."""
    for _, title, heading, text in sources.documents(data, language):
        if len(text) < 20:
            continue
        yield (heading if rng.random() < 0.5 else f"{title} {heading}"), text[:_PASSAGE_CHARS]
        parts = sentences_of(text)
        if len(parts) > 1:
            sentence = rng.choice(parts)
            yield sentence, f"{heading} {text.replace(sentence, ' ', 1)}"[:_PASSAGE_CHARS]


def parallel_documents(data: Path) -> Iterator[Pair]:
    """Chinese and Japanese sections of the same document, where both have as many."""
    both: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language in ("zh", "ja"):
        for document, _, heading, text in sources.documents(data, language):
            both[document][language].append(f"{heading} {text}"[:_PASSAGE_CHARS])
    for sections in both.values():
        if len(sections["zh"]) == len(sections["ja"]):
            yield from zip(sections["zh"], sections["ja"], strict=True)


def synset_pairs(data: Path, rng: random.Random, per_synset: int = 6) -> Iterator[Pair]:
    """Words of one synset, most often in two languages."""
    for synset in sources.synsets(data):
        words = [word for language in synset.values() for word in language]
        for _ in range(min(per_synset, len(words) // 2)):
            left, right = rng.sample(words, 2)
            if left != right:
                yield left, right


def dictionary_pairs(data: Path) -> Iterator[Pair]:
    """A gloss and its word; all glosses and their word."""
    for word, meanings in sources.dictionary(data):
        for gloss in meanings[:4]:
            yield gloss, word
        if len(meanings) > 1:
            yield " ".join(meanings), word


def shared_gloss_pairs(data: Path, rng: random.Random) -> Iterator[Pair]:
    """Chinese words that share a gloss."""
    for words in sharing(data):
        found = list(combinations(words, 2))
        yield from rng.sample(found, min(len(found), 6))


def question_pairs(data: Path) -> Iterator[Pair]:
    """Natural questions with their paragraph, and with the sentence that holds the answer."""
    for question in sources.natural_questions(data):
        yield question.text, question.paragraph
        for sentence in sentences_of(question.paragraph):
            if question.answer and question.answer in sentence:
                yield question.text, sentence
                break


def told_pairs(data: Path, rng: random.Random) -> Iterator[Pair]:
    """A pseudo-question and the sentence it was made from: reports in both languages, encyclopaedia paragraphs."""
    told = [
        text for name, chinese, english in sources.sentence_pairs(data) if name == "gwr" for text in (chinese, english)
    ]
    paragraphs = dict.fromkeys(question.paragraph for question in sources.natural_questions(data))
    for sentence in (*told, *(part for paragraph in paragraphs for part in sentences_of(paragraph))):
        if len(sentence) > _TOLD_CHARS:
            yield pseudo_question(sentence, rng), sentence


def paragraph_pairs(data: Path, rng: random.Random) -> Iterator[Pair]:
    """Sentences, as they are and asked for, with their encyclopaedia paragraph (training part of DRCD and CMRC)."""
    paragraphs = dict.fromkeys(question.paragraph for question in sources.natural_questions(data))
    for paragraph in paragraphs:
        for sentence in sentences_of(paragraph):
            yield sentence, paragraph.replace(sentence, " ", 1)
            yield pseudo_question(sentence, rng), paragraph


def report_pairs(data: Path, itself: bool = False) -> Iterator[Pair]:
    """A sentence of the government work reports and the next two, or `itself` with the next two; in either language."""
    rows = [(chinese, english) for name, chinese, english in sources.sentence_pairs(data) if name == "gwr"]
    for language in (0, 1):
        for first, *others in zip(rows, rows[1:], rows[2:], strict=False):
            following = [first, *others] if itself else others
            yield first[language], " ".join(sentence[language] for sentence in following)
