"""Generated answers over HTTP and on the command line, with a model server that behaves and misbehaves."""

from __future__ import annotations

import io
import json
import os
import pty
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rich.console import Console

from qa.cli.doctor import examine
from qa.cli.terminal import follow
from qa.configuration.config import Config
from qa.engine import Engine
from qa.schemas import AskResponse
from tests.conftest import CANONICAL
from tests.qa.api.test_api_errors import assert_problem
from tests.qa.commands import COMMAND, assert_fails, environment, run_qa
from tests.qa.llm import model_server as models
from tests.qa.llm.model_server import KEY, MODEL, ModelServer, serving_model
from tests.qa.llm.test_generate import FAILURES, TOO_LONG_S, with_model
from tests.qa.servers import serving, wait_until
from tests.qa.sse import events, text_of

LIE = models.saying("资助了9999名学生[1]。")


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving_model() as server:
        yield server


@pytest.fixture(scope="module")
def client(seeds_config: Config, server: ModelServer) -> Iterator[httpx.Client]:
    with serving(with_model(seeds_config, server)) as client:
        yield client


def asked(client: httpx.Client, **options: Any) -> dict[str, Any]:
    response = client.post("/v1/ask", json={"query": CANONICAL, **options})
    assert response.status_code == 200, response.text
    AskResponse.model_validate(response.json())
    return response.json()


def streamed(client: httpx.Client, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    with client.stream("POST", "/v1/ask", json={"query": CANONICAL, "stream": True, **options}) as response:
        assert response.status_code == 200
        return list(events(response))


def test_starting_asks_the_model_nothing(client, server):
    assert server.prompts == []


def test_over_http(client, server):
    server.behave = models.truth
    answer = asked(client)["answer"]
    assert (answer["kind"], answer["value"]) == ("generated", "1097名")
    assert not {"unsupported", "fallback"} & answer.keys()
    assert asked(client, answer="extractive")["answer"]["kind"] == "extractive"
    assert client.get("/v1/ask", params={"q": CANONICAL}).json()["answer"]["kind"] == "generated"
    by_address = client.get("/v1/ask", params={"q": CANONICAL, "answer": "extractive"}).json()
    assert by_address["answer"]["kind"] == "extractive"


def test_streamed_over_http(client, server):
    server.behave = models.truth
    (first, sources), *deltas, (last, done) = streamed(client)
    assert (first, {name for name, _ in deltas}, last) == ("sources", {"delta"}, "done")
    assert len(sources["citations"]) == 8
    assert len(deltas) > 10
    assert text_of([delta for _, delta in deltas]) == done["answer"]["text"]
    assert done["answer"]["value"] == "1097名"


def test_a_lie_is_marked_over_http(client, server):
    server.behave = LIE
    for done in (asked(client), streamed(client)[-1][1]):
        (doubtful,) = done["answer"]["unsupported"]
        assert doubtful == {
            "start": 0,
            "end": 14,
            "text": "资助了9999名学生[1]。",
            "reason": "number_not_in_source",
            "what": ["9999名"],
        }
        assert done["answer"]["text"] == "资助了9999名学生[1]。（未核实）"


@pytest.mark.parametrize(("behave", "reason"), FAILURES)
def test_failures_over_http(client, server, behave, reason):
    server.behave = behave
    is_quoted(client, reason)


def is_quoted(client: httpx.Client, reason: str) -> None:
    """Whether the answer is quoted for a reason, in one piece and streamed."""
    done = asked(client)
    assert done["answer"]["fallback"]["reason"] == reason
    assert done["answer"]["value"] == "1097名"
    _, *deltas, (last, done) = streamed(client)
    assert last == "done"
    assert done["answer"]["fallback"]["reason"] == reason
    assert text_of([delta for _, delta in deltas]) == done["answer"]["text"]


def test_silence_over_http(seeds_config, server):
    with serving(with_model(seeds_config, server, idle_timeout_s=0.3)) as client:
        for behave in (models.hanging, models.hanging_half_way, models.dripping):
            server.behave = behave
            is_quoted(client, "timeout")


def test_no_answer_of_the_model_over_http(client, server):
    server.behave = models.saying("NO_ANSWER")
    assert [name for name, _ in streamed(client)] == ["sources", "done"]
    found = asked(client)
    assert (found["status"], found["reason"], found["answer"]) == ("no_answer", "low_confidence", None)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_client_that_goes_away_ends_the_call(client, server, is_streamed):
    server.behave = models.hanging_half_way
    server.was_left.clear()
    before = len(server.prompts)
    body = json.dumps({"query": CANONICAL, "stream": is_streamed}).encode()
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        head = (
            "POST /v1/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        connection.sendall((head % len(body)).encode() + body)
        wait_until(lambda: len(server.prompts) > before)
    wait_until(server.was_left.is_set, timeout_s=TOO_LONG_S)
    server.behave = models.truth
    assert asked(client)["answer"]["kind"] == "generated"


def test_without_a_model_a_generated_answer_is_refused(seeds_config):
    with serving(seeds_config) as client:
        response = client.post("/v1/ask", json={"query": CANONICAL, "answer": "generated"})
    assert "llm.model" in assert_problem(response, 422, "invalid-request")


def variables(server: ModelServer) -> dict[str, str]:
    return {"QA_LLM_MODEL": MODEL, "QA_LLM_BASE_URL": server.base_url, "QA_LLM_API_KEY": KEY}


def test_on_the_command_line(seeds_config, server):
    folder, given = seeds_config.base, variables(server)
    server.behave = models.truth
    done = run_qa("ask", CANONICAL, "--llm", folder=folder, **given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1097名" in done.stdout.splitlines()[0] and done.stdout.splitlines()[0].endswith("[1]。")
    assert done.stdout.splitlines()[1].startswith("[1] seeds/000_")
    before = len(server.prompts)
    answer = json.loads(run_qa("ask", CANONICAL, "--json", "--no-llm", folder=folder, **given).stdout)["answer"]
    assert (answer["kind"], len(server.prompts)) == ("extractive", before)


def test_a_failure_is_one_line_on_stderr(seeds_config, server):
    server.behave = models.refusing(429)
    done = run_qa("ask", CANONICAL, "--json", folder=seeds_config.base, **variables(server))
    assert done.returncode == 0
    assert json.loads(done.stdout)["answer"]["fallback"]["reason"] == "rate_limited"
    assert done.stderr.count("\n") == 1 and "429" in done.stderr and "quoted instead" in done.stderr
    assert KEY not in done.stderr


def test_a_lie_and_no_answer_on_the_command_line(seeds_config, server):
    server.behave = LIE
    done = run_qa("ask", CANONICAL, folder=seeds_config.base, **variables(server))
    assert done.stdout.startswith("资助了9999名学生[1]。（未核实）\n")
    server.behave = models.saying("NO_ANSWER")
    done = run_qa("ask", CANONICAL, folder=seeds_config.base, **variables(server))
    assert done.returncode == 1
    assert done.stdout.startswith("Not found in the documents: ")


def test_llm_without_a_model_on_the_command_line(seeds_config):
    assert_fails(run_qa("ask", CANONICAL, "--llm", folder=seeds_config.base), 2, "set llm.model")


def test_on_a_terminal_the_text_appears_as_it_is_written(seeds_config, server):
    server.behave = models.truth
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "ask", CANONICAL],
        cwd=seeds_config.base,
        env=environment(**variables(server), TERM="dumb"),
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert "1097名" in lines[0] and lines[1].startswith("[1] seeds/000_")


def test_what_a_terminal_shows_of_an_answer_that_breaks_off(seeds_config, server):
    server.behave = models.dying_half_way
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, soft_wrap=True)
    parts = Engine(with_model(seeds_config, server)).stream(CANONICAL)
    assert follow(parts, is_generated=True, console=console).answer.fallback
    lines = shown.getvalue().split("\n")
    assert lines[:2] == ["兰州帮扶中心资助了", ""]
    assert "1097名" in lines[2] and lines[3].startswith("[1] seeds/000_")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # all that wrote to it is gone
        return b""


def test_an_answer_without_a_model_does_not_import_the_sdk(seeds_config):
    code = (
        "import sys; from qa.engine import Engine; e = Engine.open('config.yaml'); "
        f"assert e.ask('{CANONICAL}').answer.value == '1097名'; "
        "print([name for name in ('openai', 'qa.llm.model', 'qa.llm.generate', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [COMMAND[0].replace("/bin/qa", "/bin/python"), "-c", code],
        cwd=seeds_config.base,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("change", "ok", "said"),
    [
        ({}, True, "answers"),
        ({"QA_LLM_MODEL": "other"}, False, f"no such model; it lists {MODEL}"),
        ({"QA_LLM_API_KEY": "wrong"}, False, "status 401"),
        ({"QA_LLM_BASE_URL": "http://127.0.0.1:9/v1"}, False, "can't be reached"),
        ({"QA_LLM_MODEL": "", "QA_LLM_BASE_URL": ""}, True, "none; answers are quoted"),
    ],
)
def test_doctor(seeds_config, server, monkeypatch, change, ok, said):
    for name, value in {**variables(server), **change}.items():
        monkeypatch.setenv(name, value)
    (finding,) = [found for found in examine(seeds_config.base / "config.yaml") if found.name == "language model"]
    assert finding.ok == ok
    assert said in finding.detail
    assert KEY not in finding.detail


def test_doctor_of_an_endpoint_without_a_list(seeds_config, server, monkeypatch):
    for name, value in {**variables(server), "QA_LLM_BASE_URL": f"{server.base_url}/deeper"}.items():
        monkeypatch.setenv(name, value)
    (finding,) = [found for found in examine(seeds_config.base / "config.yaml") if found.name == "language model"]
    assert finding.ok and "does not list" in finding.detail
