"""Service levels of the support agent, stated in each of the ways that there are.

Run them with `pytest examples`. No call leaves the machine: see mocked_model.py.
"""

from __future__ import annotations

import pytest
from openai import OpenAI
from support_agent import SupportAgent

from senytl import expect, performance

ORDER = "Where is order A-1001?"
RETURNS = "Can I return a book?"


# Marks: the test stays as it is, and every request that it makes is measured.
@pytest.mark.benchmark(iterations=50, warmup=2)
@pytest.mark.sla(p50_latency=0.5, avg_tokens_per_request=400)
def test_order_lookup(agent):
    response = agent.run(ORDER)

    expect(response).to_have_called("lookup_order").to_contain("Thursday")


# The fixture: figures and limits at hand, in a test that makes several requests.
def test_conversation(agent, perf):
    perf.sla(total_cost=0.01, max_latency=1.0)

    for question in (RETURNS, ORDER, RETURNS):
        agent.run(question)

    assert perf.metrics.total_requests == 3
    perf.assert_token_usage_under(400)


# The decorator: the same, and it works outside pytest too.
@performance.benchmark(iterations=20, warmup=1)
def test_cost_of_an_answer(agent):
    agent.run(RETURNS)

    performance.assert_cost_under(cents=0.1)
    performance.assert_cost_under(cents=2, per_request=False)


# A streamed answer: how soon it begins, how steadily it comes, and how many requests are good.
@pytest.mark.benchmark(iterations=10, warmup=1)
@pytest.mark.sla(avg_ttft=0.5, avg_tpot=0.1, goodput=0.9)
@pytest.mark.goodput(latency=2.0, ttft=0.5)
def test_streamed_answer(streaming_agent):
    response = streaming_agent.run("When are you open?")

    expect(response).to_contain("Thursdays")


# An async agent needs no plugin and no setting.
@pytest.mark.benchmark(iterations=20, warmup=1)
@pytest.mark.sla(max_latency=1.0)
async def test_async_order_lookup(async_agent):
    response = await async_agent.run(ORDER)

    expect(response).to_contain("Thursday")


# Twenty users at once: limits stated in the body hold for all their requests together.
@performance.load_test(concurrent_users=20, duration=4, ramp_up=0.5, think_time=0.25)
def test_under_load(agent):
    agent.run(ORDER)

    performance.assert_throughput_above(requests_per_second=10)
    performance.assert_p95_latency_under(seconds=2)


@pytest.mark.load_test(concurrent_users=20, duration=2, ramp_up=0.4, think_time=(0.3, 0.6))
@pytest.mark.sla(throughput_rps=10, success_rate=1.0)
async def test_async_under_load(async_agent):
    await async_agent.run(ORDER)


# Thirty questions a second, as strangers ask them: whether or not earlier ones have been answered.
@pytest.mark.load_test(rate=30, duration=2, arrivals="poisson", seed=1)
@pytest.mark.sla(max_latency=2.0, max_start_lag=1.0, dropped_starts=0)
def test_rush_hour(agent):
    agent.run(ORDER)


# Customers who read an answer before they ask again, each with a client of its own.
@pytest.mark.load_test(concurrent_users=10, duration=2, think_time=(0.2, 0.6), warmup=0.5, seed=1)
@pytest.mark.sla(p50_latency=0.5, throughput_rps=5)
def test_customers(senytl, perf):
    customer = perf.user
    agent = customer.setup(lambda: senytl.wrap(SupportAgent(OpenAI(api_key="not used"))))

    agent.run(customer.random.choice([ORDER, RETURNS]))


# Does each request leave something in memory? A thousand and more of them tell.
@performance.benchmark(iterations=1_200)
def test_memory(agent):
    agent.run(RETURNS)

    performance.assert_no_memory_leaks()
