"""Benchmark and load-test an agent without pytest: `python examples/performance_demo.py`.

The agent calls its model through the OpenAI SDK; the model is mocked, so this runs offline.
"""

from __future__ import annotations

from mocked_model import mock_model
from openai import OpenAI
from support_agent import SupportAgent

from senytl import Senytl, performance

senytl = Senytl(fallback="error")
senytl.install()
mock_model(senytl)

agent = senytl.wrap(SupportAgent(OpenAI(api_key="not used: the model is mocked")))


@performance.benchmark(iterations=20, warmup=2)
def basic_performance():
    agent.run("Can I return a book?")

    performance.assert_latency_under(seconds=2.0)
    performance.assert_token_usage_under(500)
    performance.assert_cost_under(cents=1.0)


@performance.load_test(concurrent_users=20, duration=3)
def load():
    agent.run("Where is my order?")


basic_performance()
print("One user, 20 requests\n")
print(performance.generate_report(basic_performance._performance_metrics[-1]))

result = load()
print("\n20 users for 3 seconds\n")
print(performance.generate_report(result))

performance.set_current_metrics(result)
performance.assert_throughput_above(requests_per_second=10)
performance.assert_p95_latency_under(seconds=3.0)
performance.assert_no_memory_leaks()
performance.set_current_metrics(None)

path = ".senytl/performance/load_test_report.json"
performance.generate_report(result, output_path=path, format="json")
print(f"\nEvery limit holds. The load test's figures are in {path}.")

senytl.uninstall()
