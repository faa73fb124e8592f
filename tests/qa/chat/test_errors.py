from __future__ import annotations

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from qa.api.problems import TYPE_PREFIX
from qa.chat.errors import dialect_of, dify_error, openai_error
from qa.schemas import Problem
from tests.qa.servers import serving


def problem(status: int, kind: str, detail: str = "what to do") -> Problem:
    return Problem(type=TYPE_PREFIX + kind, title="", status=status, detail=detail)


@pytest.mark.parametrize(
    ("status", "kind", "detail", "error_type", "code", "param"),
    [
        (401, "unauthorized", "send a key", "authentication_error", "invalid_api_key", None),
        (403, "forbidden", "may only read", "permission_error", "forbidden", None),
        (404, "model-not-found", "the model", "invalid_request_error", "model_not_found", "model"),
        (422, "invalid-request", "messages.0.role: no", "invalid_request_error", "invalid_request", "messages.0.role"),
        (422, "invalid-request", "nothing to name", "invalid_request_error", "invalid_request", None),
        (429, "rate-limited", "wait", "rate_limit_error", "rate_limit_exceeded", None),
        (500, "internal", "failed", "server_error", "internal", None),
        (503, "index-missing", "being indexed: 3 of 5", "server_error", "index_missing", None),
    ],
)
def test_openai(status, kind, detail, error_type, code, param):
    error = openai_error(problem(status, kind, detail)).error
    assert (error.message, error.type, error.code, error.param) == (detail, error_type, code, param)


@pytest.mark.parametrize(
    ("status", "kind", "sent", "code"),
    [
        (401, "unauthorized", {}, 1001),
        (401, "unauthorized", {"authorization": "Basic x"}, 1001),
        (401, "unauthorized", {"authorization": "bearer x"}, 1002),
        (404, "knowledge-not-found", {}, 2001),
        (404, "not-found", {}, 404),
        (422, "invalid-request", {}, 400),
        (429, "rate-limited", {}, 429),
        (503, "index-missing", {}, 503),
    ],
)
def test_dify(status, kind, sent, code):
    error = dify_error(problem(status, kind), sent)
    assert (error.error_code, error.error_msg) == (code, "what to do")


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/documents/a", "/mcp", "/", "/healthz"])
def test_elsewhere_problems_stay_problems(path):
    assert dialect_of(path) is None


def test_whatever_answers_with_a_problem_is_translated(seeds_config):
    def limited() -> None:
        raise HTTPException(429, "slow down", {"Retry-After": "7"})

    def failing() -> None:
        raise RuntimeError("secret of the house")

    def extend(app: FastAPI) -> None:
        app.add_api_route("/v1/chat/limited", limited)
        app.add_api_route("/retrieval/failing", failing)

    with serving(seeds_config, extend=extend) as client:
        found = client.get("/v1/chat/limited")
        assert (found.status_code, found.headers["retry-after"]) == (429, "7")
        assert found.json()["error"] == {
            "message": "slow down",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        assert int(found.headers["content-length"]) == len(found.content)
        broken = client.get("/retrieval/failing")
        assert (broken.status_code, broken.json()["error_code"]) == (500, 500)
        assert "secret" not in broken.text
        assert broken.headers["x-request-id"]
