from __future__ import annotations

import pytest

from senytl.redaction import redact


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcDEF123456789.",
        "Incorrect API key provided: sk-proj-********************cDEF.",
        "Authorization: Bearer abc.def-ghi",
        "header 'x-api-key: sk-ant-api03-abcdefgh'",
        "GET /v1beta/models?key=AIzaSyA1234567890abc failed",
        "api_key=hunter2hunter2",
        '{"api_key": "hunter2hunter2"}',
        "{'api_key': 'hunter2hunter2'}",
        "Client(api_key='hunter2hunter2')",
        "x-goog-api-key: AIzaSyA1234567890abc",
        "GET /v1?access_token=hunter2hunter2&page=1 failed",
        "no route to http://proxy:hunter2@10.0.0.1:8080",
        "password=hunter2",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc was refused",
        "AKIAIOSFODNN7EXAMPLE",
    ],
)
def test_secrets_are_replaced(text: str) -> None:
    clean = redact(text)
    assert "[secret]" in clean
    for secret in ("abcDEF", "cDEF", "abc.def", "abcdefgh", "1234567890abc", "hunter2", "eyJ"):
        assert secret not in clean
    assert "IOSFODNN7" not in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit reached for gpt-4 in organization on tokens per min",
        "the task-list is empty, risk-free and sky-blue",
        "model claude-3-opus-20240229 is overloaded",
        "keyboard-interrupt",
        "the api_key client option must be set, or the password",
        "http://localhost:8080/users/a@b.c",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text
