from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from senytl.models import LLMCallRecord, MockResponse, TokenUsage, ToolCall
from senytl.performance.tokens import count_usage, extract_token_usage, usage_of
from senytl.performance.tokens.tokenizer import vocabulary_of


def _record(model: str = "gpt-4", **fields: Any) -> LLMCallRecord:
    fields.setdefault("request", {"messages": "Your prompt here"})
    return LLMCallRecord(provider="openai", model=model, **fields)


# The cookbook's example, whose count the API itself confirmed: 129 tokens by gpt-4 and
# gpt-3.5-turbo, 124 by gpt-4o.
COOKBOOK = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate "
        "jargon into plain English.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "New synergies will help drive top-line growth.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Things working well together will increase revenue.",
    },
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client "
        "deliverable.",
    },
]


@pytest.mark.usefixtures("tiktoken_vocabularies")
class TestTokenizer:
    @pytest.mark.parametrize(
        ("model", "tokens"), [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4o", 124)]
    )
    def test_a_chat_is_counted_as_openai_counts_it(self, model: str, tokens: int) -> None:
        usage = count_usage(model, {"messages": COOKBOOK}, MockResponse())

        assert usage == TokenUsage(tokens, 0, source="tokenizer")

    def test_the_specification_s_record_has_its_tokens(self) -> None:
        call = _record(response=MockResponse(text="Response text"))

        usage = extract_token_usage([call])

        # "Your prompt here" is 3 tokens, its message adds 3 and the role 1, the reply's start 3.
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 2, 12)

    def test_a_legacy_prompt_is_no_chat(self) -> None:
        usage = count_usage("gpt-3.5-turbo", {"prompt": "Your prompt here"}, MockResponse())

        assert usage.prompt_tokens == 3

    def test_an_empty_request_has_no_tokens(self) -> None:
        assert count_usage("gpt-4o", {"messages": []}, MockResponse()).total_tokens == 0

    def test_definitions_of_tools_are_counted_about_right(self) -> None:
        # The cookbook again: with this tool the API counted 101 tokens by gpt-4o, of which the
        # messages are 27.
        weather = {
            "type": "function",
            "function": {
                "name": "get_current_weather",
                "description": "Get the current weather in a given location",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "location": {
                            "type": "string",
                            "description": "The city and state, e.g. San Francisco, CA",
                        },
                        "unit": {
                            "type": "string",
                            "description": "The unit of temperature to return",
                            "enum": ["celsius", "fahrenheit"],
                        },
                    },
                    "required": ["location"],
                },
            },
        }
        messages = [
            {
                "role": "system",
                "content": "You are a helpful assistant that can answer to questions about the "
                "weather.",
            },
            {"role": "user", "content": "What's the weather like in San Francisco?"},
        ]

        usage = count_usage("gpt-4o", {"messages": messages, "tools": [weather]}, MockResponse())

        assert usage.prompt_tokens == pytest.approx(101, rel=0.35)

    def test_tool_calls_and_reasoning_are_completion(self) -> None:
        reply = MockResponse(
            text="Response text",
            tool_calls=[ToolCall("weather", {"city": "Oslo"})],
            reasoning="Your prompt here",
        )

        usage = count_usage("gpt-4o", {}, reply)

        # "weather" is one token and {"city":"Oslo"} six, by o200k_base.
        assert usage.completion_tokens == 2 + 3 + 1 + 6
        assert usage.reasoning_tokens == 3

    def test_special_tokens_in_a_prompt_are_text(self) -> None:
        usage = count_usage("gpt-4", {"prompt": "a <|endoftext|> b"}, MockResponse())

        assert usage.prompt_tokens == 8  # as a special token it would be one of three

    def test_a_million_spaces_are_counted(self) -> None:
        # tiktoken gives up on so many at once.
        usage = count_usage("gpt-4o", {"prompt": " " * 1_000_000}, MockResponse())

        assert usage.source == "tokenizer"
        assert usage.prompt_tokens == pytest.approx(1_000_000 / 128, rel=0.01)

    def test_lone_surrogates_are_counted(self) -> None:
        assert count_usage("gpt-4", {"prompt": "a\ud800b"}, MockResponse()).prompt_tokens > 0

    def test_threads_agree(self) -> None:
        texts = [f"message number {number}" for number in range(200)]
        totals: list[int] = []

        def count() -> None:
            totals.append(
                sum(
                    count_usage("gpt-4o", {"prompt": text}, MockResponse()).prompt_tokens
                    for text in texts
                )
            )

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert totals == [800] * 4


class TestSource:
    def test_the_provider_s_own_count_wins(self) -> None:
        reported = TokenUsage(7, 5, cached_tokens=3)

        assert usage_of(_record(usage=reported)) is reported

    def test_usage_in_the_reply_of_a_record_made_by_hand_counts_as_reported(self) -> None:
        reported = TokenUsage(7, 5)

        assert usage_of(_record(response=MockResponse("hi", usage=reported))) is reported

    @pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.5-pro", "my-model", "gpt-6"])
    def test_other_makers_models_are_estimated(self, model: str) -> None:
        usage = usage_of(_record(model, response=MockResponse("Response text")))

        assert usage.source == "estimate"
        assert usage.completion_tokens == 2

    @pytest.mark.usefixtures("tiktoken_vocabularies")
    def test_a_sum_has_the_least_trusted_source(self) -> None:
        reported = _record(usage=TokenUsage(7, 5))
        counted = _record(response=MockResponse("Response text"))
        estimated = _record("my-model", response=MockResponse("Response text"))

        assert extract_token_usage([]).source == "provider"
        assert extract_token_usage([reported, counted]).source == "tokenizer"
        both = extract_token_usage(iter([reported, counted, estimated]))
        assert both.source == "estimate"
        assert (both.prompt_tokens, both.completion_tokens) == (27, 9)

    def test_a_failed_call_without_a_reply_was_not_billed(self) -> None:
        call = _record(error="RateLimitError: slow down", status=429)

        assert usage_of(call) == TokenUsage(0, 0, source="provider")

    @pytest.mark.usefixtures("tiktoken_vocabularies")
    def test_a_call_that_failed_in_the_middle_of_its_reply_counts_what_came(self) -> None:
        call = _record(error="APIError: cut off", response=MockResponse("Response text"))

        assert usage_of(call) == TokenUsage(10, 2, source="tokenizer")

    @pytest.mark.usefixtures("tiktoken_vocabularies")
    def test_a_failed_call_s_reported_usage_stands(self) -> None:
        call = _record(error="APIError: cut off", usage=TokenUsage(4, 0))

        assert usage_of(call) == TokenUsage(4, 0)


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("gpt-5.2-codex", "o200k_base"),
        ("o1-preview", "o200k_base"),
        ("o3", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("openai/gpt-oss-120b", "o200k_base"),
        ("openai/gpt-4o", "o200k_base"),
        ("ft:gpt-4o-2024-08-06:acme::x", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("azure/gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-4-32k", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::x", "cl100k_base"),
        ("gpt-4omni", None),
        ("gpt-6", None),
        ("o1x", None),
        ("claude-3-opus-20240229", None),
        ("models/gemini-pro", None),
        ("my-gpt-4", None),
    ],
)
def test_the_vocabulary_of_a_model(model: str, vocabulary: str | None) -> None:
    assert vocabulary_of(model) == vocabulary


def _run_offline(code: str, folder: Path, proxy: str) -> str:
    """Run code in a process that has no vocabulary and reaches the network by that proxy only."""
    environment = {
        **os.environ,
        "TIKTOKEN_CACHE_DIR": str(folder / "empty"),
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "",
        "no_proxy": "",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_offline_the_estimate_stands_in_without_a_word(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        output = _run_offline(
            """
            from senytl.models import MockResponse
            from senytl.performance.tokens import count_usage
            usage = count_usage("gpt-4o", {"prompt": "Your prompt here"}, MockResponse("Hello"))
            print(usage.prompt_tokens, usage.completion_tokens, usage.source)
            """,
            tmp_path,
            f"http://127.0.0.1:{unused.getsockname()[1]}",
        )

    assert output == "3 1 estimate\n"


def test_a_vocabulary_that_does_not_come_is_waited_for_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        output = _run_offline(
            """
            import time
            from senytl.models import MockResponse
            from senytl.performance.tokens import count_usage, tokenizer
            tokenizer._PATIENCE = 1.0
            for _ in range(3):
                start = time.monotonic()
                usage = count_usage("gpt-4o", {"prompt": "Your prompt"}, MockResponse("Hello"))
                print(usage.source, time.monotonic() - start >= 0.9)
            """,
            tmp_path,
            f"http://127.0.0.1:{silent.getsockname()[1]}",
        )
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # one attempt, not three
            silent.accept()

    assert output.splitlines() == ["estimate True", "estimate False", "estimate False"]


def test_tiktoken_loads_for_openai_s_models_only(tmp_path: Path) -> None:
    output = _run_offline(
        """
        import sys
        from senytl.models import MockResponse
        from senytl.performance.tokens import count_usage
        count_usage("claude-sonnet-4-5", {"messages": "Hi"}, MockResponse("Hello"))
        print("tiktoken" in sys.modules)
        """,
        tmp_path,
        "http://127.0.0.1:9",
    )

    assert output == "False\n"
