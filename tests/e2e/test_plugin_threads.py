"""An agent that calls its models in threads of its own, under pytest."""

from __future__ import annotations

from typing import Any

import pytest

SUITE = """
    from concurrent.futures import ThreadPoolExecutor

    import httpx2
    import pytest

    from senytl import Senytl

    CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}

    @pytest.fixture(autouse=True)
    def models():
        with Senytl(fallback="error") as senytl:
            senytl.mock("gpt-4o").respond("Hello!", usage=(100, 20))
            yield senytl

    def ask():
        with httpx2.Client() as client:
            client.post("https://api.openai.com/v1/chat/completions", json=CHAT)

    @pytest.mark.load_test(concurrent_users=3, iterations=2)
    @pytest.mark.sla(max_tokens_per_request=240)
    def test_load():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: ask(), range(2)))
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("ini", "unattributed"), [("", 0), ("senytl_carry_context = false", 12)])
def test_calls_in_its_own_threads_belong_to_their_request_unless_switched_off(
    run: Any, workers: int, ini: str, unattributed: int
) -> None:
    session = run(SUITE, ini=ini, workers=workers)
    calls = session.tests["test_load"]["llm_calls"]
    assert (calls["total"], calls["unattributed"]) == (12, unattributed)
    # What one request took is not known without them, so its limit cannot be judged.
    assert session.exit_code == (1 if unattributed else 0)
