"""The same no-op under Locust, in a process of its own; `recording_cost.py` runs this.

Prints one line of JSON: requests, seconds, and the version. Locust replaces parts of the standard
library in its process, so it is never imported anywhere else.

``--per-task`` says how many requests one task sends. With 1, Locust's scheduler runs between any
two of them, as it does for its users; with many, all but the recording of a request is spread
over so many of them that it vanishes, which is the best that Locust can do.
"""

import argparse
import json

import locust  # first: it patches what the others import
from locust import User, constant, events, task
from locust.env import Environment

import gevent  # isort: skip
from time import perf_counter


def body() -> None:
    pass


class NoOp(User):
    """A task that is a no-op, timed and reported as Locust's manual has it for own clients."""

    wait_time = constant(0)
    per_task = 1

    @task
    def request(self) -> None:
        for _ in range(NoOp.per_task):
            start = perf_counter()
            body()
            self.environment.events.request.fire(
                request_type="call",
                name="body",
                response_time=(perf_counter() - start) * 1000,
                response_length=0,
                exception=None,
                context={},
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--per-task", type=int, default=1)
    options = parser.parse_args()
    NoOp.per_task = options.per_task

    environment = Environment(user_classes=[NoOp], events=events)
    runner = environment.create_local_runner()
    runner.start(options.users, spawn_rate=options.users)
    while runner.user_count < options.users:
        gevent.sleep(0.05)
    total = environment.stats.total
    before, start = total.num_requests, perf_counter()
    gevent.sleep(options.seconds)
    requests, seconds = total.num_requests - before, perf_counter() - start
    runner.quit()
    print(json.dumps({"requests": requests, "seconds": seconds, "version": locust.__version__}))


if __name__ == "__main__":
    main()
