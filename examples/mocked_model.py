"""What the support agent's model answers in these examples: no call leaves the machine."""

from __future__ import annotations

from support_agent import MODEL

from senytl.models import MockResponse, TokenUsage, ToolCall


def mock_model(senytl):
    """State the replies, with the tokens that the real model used for them."""
    model = senytl.mock(MODEL)
    model.when(contains="order").respond(
        MockResponse(
            tool_calls=[ToolCall("lookup_order", {"number": "A-1001"})], usage=TokenUsage(86, 17)
        )
    )
    # The prompt now ends with the tool's result.
    model.when(contains="in transit").respond(
        MockResponse("Order A-1001 is in transit: expect it Thursday.", usage=TokenUsage(131, 14))
    )
    model.when(contains="return").respond(
        MockResponse("You can return any book within 30 days.", usage=TokenUsage(84, 11))
    )
    # It takes its time: 80 ms to the first token, then 200 tokens a second, give or take a tenth.
    model.when(contains="open").respond(
        "We are open from nine to six, and until eight on Thursdays. On Sundays we read.",
        usage=TokenUsage(82, 21),
        ttft=0.08,
        tokens_per_second=200,
        jitter=0.1,
    )
