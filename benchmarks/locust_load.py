"""One load under Locust, in a process of its own; `load_engine.py` runs this.

Prints one line of JSON: requests, seconds, CPU seconds of the process, latencies in seconds at
p50 and p95, failures, and the version. Locust replaces parts of the standard library in its
process, so it is never imported anywhere else.

``--per-task`` says how many no-op requests one task sends. With 1, Locust's scheduler runs
between any two of them, as it does for its users; with many, all but the recording of a request
is spread over so many of them that it vanishes, which is the best that Locust can do.
"""

import argparse
import json

import locust  # first: it patches what the others import
from locust import FastHttpUser, HttpUser, User, constant, events, task
from locust.env import Environment

import gevent  # isort: skip
import resource
from time import perf_counter, process_time

options = argparse.Namespace()


class OwnUser(User):
    """A task that calls a function, timed and reported as Locust's manual has it."""

    abstract = True
    wait_time = constant(0)

    def body(self) -> None:
        pass

    @task
    def request(self) -> None:
        for _ in range(options.per_task):
            start = perf_counter()
            self.body()
            self.environment.events.request.fire(
                request_type="call",
                name="body",
                response_time=(perf_counter() - start) * 1000,
                response_length=0,
                exception=None,
                context={},
            )


class NoOp(OwnUser):
    pass


class Sleep(OwnUser):
    def body(self) -> None:
        gevent.sleep(options.sleep)


class Http(HttpUser):
    """Locust's default client, which is requests."""

    wait_time = constant(0)

    @task
    def request(self) -> None:
        self.client.get("/")


class FastHttp(FastHttpUser):
    """Locust's fastest client, which is geventhttpclient."""

    wait_time = constant(0)

    @task
    def request(self) -> None:
        self.client.get("/")


KINDS = {"no-op": NoOp, "sleep": Sleep, "HttpUser": Http, "FastHttpUser": FastHttp}


def at(ordered: list[float], quantile: float) -> float:
    return ordered[min(int(quantile * len(ordered)), len(ordered) - 1)] / 1000 if ordered else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--per-task", type=int, default=1)
    parser.add_argument("--sleep", type=float, default=0.01)
    parser.add_argument("--host", default="")
    parser.parse_args(namespace=options)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    kind = KINDS[options.kind]
    kind.host = options.host.rstrip("/")
    environment = Environment(user_classes=[kind], events=events, host=kind.host)
    latencies: list[float] = []
    if kind is not NoOp:  # Locust itself rounds them
        events.request.add_listener(lambda response_time, **_: latencies.append(response_time))
    runner = environment.create_local_runner()
    runner.start(options.users, spawn_rate=options.users)
    while runner.user_count < options.users:
        gevent.sleep(0.05)
    total = environment.stats.total
    latencies.clear()
    before, failed = total.num_requests, total.num_failures
    start, cpu = perf_counter(), process_time()
    gevent.sleep(options.seconds)
    seconds, cpu = perf_counter() - start, process_time() - cpu
    requests, failed = total.num_requests - before, total.num_failures - failed
    latencies.sort()
    print(
        json.dumps(
            {
                "requests": requests,
                "seconds": seconds,
                "cpu": cpu,
                "p50": at(latencies, 0.50),
                "p95": at(latencies, 0.95),
                "failed": failed,
                "version": locust.__version__,
            }
        ),
        flush=True,
    )
    runner.quit()


if __name__ == "__main__":
    main()
