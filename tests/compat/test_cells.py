"""One test for each cell of docs/reference/sdks.md and each way of calling.

`nox -s sdks_newest sdks_frameworks` runs them, in two environments. Elsewhere they are not
collected: most SDKs are missing there.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from tests.compat import rows_frameworks, rows_sdks
from tests.compat.row import Row, Style
from tests.compat.server import PAUSE, Served
from tests.compat.watching import Observation, Watcher

from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.performance.tokens import usage_of

ENVIRONMENT = os.environ.get("SENYTL_COMPAT", "")
ROWS = [
    row for row in rows_sdks.ROWS + rows_frameworks.ROWS if ENVIRONMENT in row.environments
]  # fmt: skip
MOCKED = MockResponse("Mocked, not served.", usage=TokenUsage(4321, 21))


def cell(column: str, wanted: Callable[[Style], bool] = lambda style: True) -> pytest.MarkDecorator:
    """Run a test for each row that has the column, in each of its styles that are wanted."""
    cases = [
        pytest.param(row, style, id=f"{row.name}, {style}", marks=pytest.mark.compat_cell(column))
        for row in ROWS
        for style in row.styles
        if column not in row.without and wanted(style)
    ]
    return pytest.mark.parametrize(("row", "style"), cases)


def check(row: Row, style: Style, seen: Observation) -> None:
    """Exactly one record for each request that was served, and each tells of its own one."""
    assert seen.served, "the server was not called"
    assert not seen.warned
    assert not seen.lost, f"{len(seen.lost)} calls were attributed to nobody"
    assert len(seen.calls) == len(seen.served)
    for call, served in pairs(seen):
        assert call.model == row.model
        assert call.streamed is style.streams
        assert call.request == served.request
        assert (call.status, call.error, call.outcome) == (200, None, "completed")
        assert not call.mocked
        assert call.duration_seconds is not None
        if row.has_text:
            assert call.response.text == served.reply.text


def pairs(seen: Observation) -> list[tuple[LLMCallRecord, Served]]:
    """Records and served requests, which come one after the other."""
    return list(zip(seen.calls, seen.served, strict=True))


@cell("sync", lambda style: not style.is_async and not style.streams)
def test_sync_call_gives_one_record(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.observe(row, style)
    check(row, style, seen)
    assert seen.said.text == (seen.served[-1].reply.text if row.has_text else "")


@cell("async", lambda style: style.is_async and not style.streams)
def test_async_call_gives_one_record(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.observe(row, style)
    check(row, style, seen)
    assert seen.said.text == (seen.served[-1].reply.text if row.has_text else "")


@cell("stream", lambda style: style.streams)
def test_stream_gives_one_record(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.observe(row, style)
    check(row, style, seen)
    assert seen.said.text == seen.served[-1].reply.text
    for call, served in pairs(seen):
        assert call.chunks == len(served.reply.pieces)


@cell("tools")
def test_tool_call_is_in_the_record(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.observe(row, style, asks_weather=True)
    check(row, style, seen)
    assert seen.said.tools == [("get_weather", {"city": "Paris"})]
    asked_for = [(tool.name, tool.arguments) for tool in seen.calls[0].response.tool_calls]
    assert asked_for == [("get_weather", {"city": "Paris"})]
    assert not any(call.response.tool_calls for call in seen.calls[1:])


@cell("mock")
def test_mock_answers_in_the_server_s_place(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.mock(row, style, MOCKED)
    assert not seen.served
    assert not seen.lost
    [call] = seen.calls
    assert call.mocked
    assert (call.model, call.streamed, call.error) == (row.model, style.streams, None)
    assert call.usage == MOCKED.usage
    assert call.response.text == MOCKED.text or not row.has_text
    assert seen.said.text == (MOCKED.text if row.has_text else "")


@cell("usage")
def test_tokens_are_the_provider_s(row: Row, style: Style, watcher: Watcher) -> None:
    seen = watcher.observe(row, style)
    check(row, style, seen)
    for call, served in pairs(seen):
        usage = usage_of(call)
        if style.streams and row.stream_usage == "counted":
            assert call.usage is None
            assert usage.source in ("tokenizer", "estimate")
            assert 0 < usage.prompt_tokens < 30
            assert 0 < usage.completion_tokens < 15
            continue
        completion = served.reply.completion_tokens if row.has_text else 0
        assert usage.source == "provider"
        assert (usage.prompt_tokens, usage.completion_tokens) == (
            served.reply.prompt_tokens, completion,
        )  # fmt: skip
        assert usage.cached_tokens == served.cached_tokens
        assert usage.total_tokens == served.reply.prompt_tokens + completion


@cell("TTFT")
def test_time_to_first_token_is_the_server_s(row: Row, style: Style, watcher: Watcher) -> None:
    # Not its first stream, in the middle of which an SDK may import modules and read on late.
    seen = watcher.observe(row, style, afresh=style.streams)
    check(row, style, seen)
    for call, served in pairs(seen):
        if not style.streams:
            assert call.ttft is None
            continue
        assert call.start is not None
        assert call.ttft is not None
        assert call.ttft >= PAUSE
        assert served.first_output <= call.start + call.ttft < served.last_output
