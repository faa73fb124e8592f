"""What people see on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from index.indexing.report import IndexReport, Remark, count_kinds
from qa.answering.responses import Part, whole
from qa.schemas import AnswerOut, AskResponse, Citation, Delta, HitOut, ScoreParts, SpanPair, TextPlace, WhyNotResponse

_REASONS = {
    "no_hits": "no passage shares a word or a meaning with the question",
    "low_confidence": "no passage fits the question well enough",
    "missing_terms": "no article brings these together with the rest of the question: ",
    "no_quantity": "the passages that fit hold no number of the kind asked for",
}
_DAMAGED = "! damaged in the document, look at the original:"
_console = Console(highlight=False, soft_wrap=True)


def follow(parts: Iterable[Part], *, is_generated: bool, console: Console = _console) -> AskResponse:
    """Show an answer; on a terminal a generated one as it is written."""
    if not (is_generated and console.is_terminal):
        response = whole(parts)
        print_answer(response, console)
        return response
    has_text = False
    for part in parts:
        if isinstance(part, Delta):
            console.print(Text(part.text if not part.replace else f"\n\n{part.text}", "bold"), end="")
            has_text = True
    console.print("\n" if has_text else "", end="")
    assert isinstance(part, AskResponse)
    print_answer(part, console, is_shown=has_text)
    return part


def print_answer(response: AskResponse, console: Console = _console, *, is_shown: bool = False) -> None:
    """The answer, unless its text is on the screen already, then where it stands, then the passages."""
    if response.interpreted_as:
        console.print(Text(f"Understood as: {response.interpreted_as}", "dim"))
    if response.answer is None:
        reason = _REASONS[response.reason or "no_hits"] + "、".join(response.missing_terms)
        console.print(Text(f"Not found in the documents: {reason}", style="bold yellow"))
    elif not is_shown:
        console.print(_answer_text(response.answer, response.citations))
    for citation in response.citations:
        console.print(Text.assemble((f"[{citation.n}] {_place(citation)}", "cyan"), *_freshness(citation)))
        if citation.damaged:
            console.print(Text(f"{_DAMAGED} {_pieces(citation.quote, citation.damaged, citation.start)}", "red"))
    console.print()
    print_hits(response.hits, console)


def _answer_text(answer: AnswerOut, citations: Sequence[Citation]) -> Text:
    """The answer with its short value, its damaged characters and its doubtful sentences made visible."""
    shown = _emphasised(answer.text, answer.value)
    for citation in citations:
        if citation.quote == answer.text:
            _mark_damage(shown, citation.damaged, citation.start)
    for sentence in answer.unsupported:
        shown.stylize("yellow", sentence.start, sentence.end)
    return shown


def print_hits(hits: Sequence[HitOut], console: Console = _console) -> None:
    """Ranked passages with what matched in them highlighted."""
    if not hits:
        console.print("No passages found.")
    for hit in hits:
        place = _place(hit)
        stale = _freshness(hit) if hit.stale else []
        console.print(Text.assemble((f"{hit.rank}. ", "bold"), (place, "cyan"), (f" · {hit.score:.2f}", "dim"), *stale))
        if hit.explain:
            for line in _explanation(hit.explain):
                console.print(Text(f"   {line}", "dim"))
        body = Text(hit.text)
        for start, end in hit.highlights:
            body.stylize("bold green", start - hit.start, end - hit.start)
        _mark_damage(body, hit.damaged, hit.start)
        console.print(Text("   ").append_text(Text(" ").join(body.split())))
        if hit.damaged:
            console.print(Text(f"   {_DAMAGED} {_pieces(hit.text, hit.damaged, hit.start)}", "red"))
        for copy in hit.also_in:
            console.print(Text(f"   also in {copy.path} · paragraph {copy.paragraph}", "dim"))


def print_why_not(response: WhyNotResponse, console: Console = _console) -> None:
    """Where the document stands, why, and its passage beside the first."""
    rank = f"rank {response.rank}" if response.rank else "not ranked"
    console.print(Text(f"{response.path}: {rank}", "bold"))
    for reason in response.reasons:
        console.print(Text(f"- {reason}"))
    for name, standing in (("first", response.first), ("this document", response.best)):
        if standing is None or (name == "first" and response.rank == 1):
            continue
        place = _place(standing)
        console.print()
        console.print(Text.assemble((f"{name}: ", "bold"), (place, "cyan"), (f" · {standing.score:.2f}", "dim")))
        for line in _explanation(standing.explain):
            console.print(Text(f"   {line}", "dim"))
        console.print(Text("   ").append_text(Text(" ".join(standing.text.split()))))


def _explanation(parts: ScoreParts) -> Iterator[str]:
    """What a score is made of, and the question's words that the passage holds."""
    yield f"lexical {parts.lexical:.2f} · dense {parts.dense:.2f} · article {parts.article:.2f}"
    yield "points: " + " · ".join(f"{name} {value:.2f}" for name, value in parts.points.items())
    for name, terms in (
        ("matched", parts.matched),
        ("only elsewhere in its article", parts.in_article),
        ("missing", parts.missing),
    ):
        if terms:
            yield f"{name}: {'、'.join(terms)}"


def _freshness(place: TextPlace) -> list[tuple[str, str]]:
    """When the file was read, and a warning where that is no longer what it says."""
    read = [(f" · read {place.read_at[:16].replace('T', ' ')} UTC", "dim")] if place.read_at else []
    return [*read, (" · changed or removed since; run: qa index", "yellow")] if place.stale else read


class _Rate(ProgressColumn):
    """How many are done a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", "progress.data.speed")


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[str, float, int], None]]:
    """A bar that takes (what, done, total), with the rate and the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def advance(what: str, done: float, total: int) -> None:
            progress.update(task, description=what[-40:], completed=done, total=total)

        yield advance


def print_report(report: IndexReport, console: Console = _console) -> None:
    """What an index holds, what is not in it and why, and what to be wary of."""
    console.print(f"{report.documents} documents, {report.passages} passages, generation {report.generation}")
    console.print(f"{len(report.skipped)} skipped")
    print_skipped([f"{skipped.path}: {skipped.reason}" for skipped in report.skipped], console)
    print_remarks(report.remarks, console)


def print_skipped(messages: Sequence[str], console: Console) -> None:
    """What could not be read, a line each."""
    for message in messages:
        console.print(Text(f"skipped {one_line(message)}", "yellow"))


def print_remarks(remarks: Sequence[Remark], console: Console) -> None:
    """Warnings with their places, then how many there are of each kind."""
    for remark in remarks:
        notice = remark.notice
        place = [one_line(remark.path)]
        place += [f"page {notice.page}"] if notice.page else []
        place += [f"paragraph {notice.paragraph}"] if notice.paragraph else []
        place += [f"characters {notice.start}-{notice.end}"] if notice.start is not None else []
        console.print(Text(f"warning {notice.kind} · {' · '.join(place)}: {notice.text}", "yellow"))
    kinds = ", ".join(f"{count} {kind}" for kind, count in count_kinds(remarks).items())
    if remarks:
        console.print(f"{len(remarks)} warnings: {kinds}")


def one_line(path: str) -> str:
    """A path that can't break the line or drive the terminal, whatever characters its name has."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in path)


def _place(place: TextPlace) -> str:
    page = "" if place.page is None else f"page {place.page} · "
    return f"{one_line(place.path)} · {place.title} · {page}paragraph {place.paragraph}"


def _mark_damage(shown: Text, damaged: Sequence[SpanPair], offset: int) -> None:
    """Strike through what can't be read as it was meant; `offset` is where the text begins in its document."""
    for start, end in damaged:
        shown.stylize("red strike", start - offset, end - offset)


def _pieces(text: str, damaged: Sequence[SpanPair], offset: int) -> str:
    return " … ".join(one_line(text[start - offset : end - offset]) for start, end in damaged)


def _emphasised(text: str, value: str | None) -> Text:
    shown = Text(text, style="bold")
    if value and value in text:
        start = text.index(value)
        shown.stylize("green", start, start + len(value))
    return shown
