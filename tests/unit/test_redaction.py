from __future__ import annotations

import pytest

from senytl.redaction import find_secrets, names_a_secret, redact


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


@pytest.mark.parametrize(
    "text",
    [
        '{"token": "hunter2", "page": 1}',
        '{"Authorization": "hunter2 hunter2"}',
        '{"password": "correct horse hunter2 battery"}',
        r'{"arguments": "{\"password\": \"correct horse hunter2\"}"}',
        r'"{\"inner\": \"{\\\"client_secret\\\": \\\"a b hunter2\\\"}\"}"',
        "Authorization: Basic aHVudGVyMjpodW50ZXIy",
        "Authorization: token hunter2",
        "Cookie: session=hunter2; other=hunter2",
        "set-cookie: sid=hunter2; Path=/; HttpOnly",
        "AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYhunter2KEY",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYhunter2KEY",
        "https://user:hunter2@api.example.com/v1",
        "GITHUB: ghp_hunter2hunter2hunter2",
        "SLACK xoxb-hunter2-hunter2",
        "SECRET_TOKEN=abc123hunter2",
        "https://blob.example.com/x?sv=1&sig=hunter2%3D",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "Incorrect API key provided: hunter2.",
    ],
)
def test_secrets_of_more_kinds_are_replaced(text: str) -> None:
    clean = redact(text)
    assert "[secret]" in clean
    for secret in ("hunter2", "aHVudGVyMj", "wJalr", "IOSFODNN7"):
        assert secret not in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 100, and the next token: hello",
        '{"next_page_token": "CAUQAA", "stop_token": "###"}',
        '{"key_takeaways_of_the_meeting": "none", "key": "C major"}',
        "commit 2b6f0cc904d137be2e1730235f5664094b831186 of the secret project",
        "the secret: patience",
        "a cookie: flour, butter, sugar",
        '{"password": {"type": "string", "description": "what the user typed"}}',
    ],
)
def test_words_that_only_sound_like_secrets_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("api_key", True),
        ("X-API-Key", True),
        ("OPENAI_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("Authorization", True),
        ("set-cookie", True),
        ("token", True),
        ("githubToken", True),
        ("nextPageToken", False),
        ("max_tokens", False),
        ("tokenizer", False),
        ("key", False),
        ("author", False),
    ],
)
def test_names_of_secrets(name: str, is_one: bool) -> None:
    assert names_a_secret(name) is is_one


def test_secrets_are_found_where_they_stand() -> None:
    text = "a sk-proj-abcdef123 and Bearer xyz"
    assert [text[start:end] for start, end in find_secrets(text)] == ["sk-proj-abcdef123", "xyz"]
