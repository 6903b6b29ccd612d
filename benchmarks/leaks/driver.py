"""Whether leaks are found, and only leaks: every workload in a fresh process, beside other rules.

    python benchmarks/leaks [--only NAME ...] [--forms FORM ...] [--requests N ...] [--repeat N]
        [--others PYTHON] [--json FILE]

Each workload runs at 1,200 and at 5,000 requests with `assert_no_memory_leaks()`; two processes
at a time. Beside it stand the naive rule, in the same runs (the mean RSS of the last tenth of the
samples is more than 20 % above that of the first tenth), psleak, and pytest-memray's
`limit_leaks`. These two run in an environment of their own, and only workloads that are sync and
need no senytl:

    python -m venv /tmp/leaks && /tmp/leaks/bin/pip install psleak pytest-memray
    python benchmarks/leaks --others /tmp/leaks/bin/python

Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from corpus import Workload
from every_workload import WORKLOADS
from targets import Targets

__all__ = ["main", "run_one"]

HERE = Path(__file__).resolve().parent
AT_ONCE = 2
TIMEOUT = 600

MOST_FALSE_ALARMS = 2.5
LEAST_FOUND = 97.0
LEAST_SITES = 97.0

Row = dict[str, Any]


def run_one(name: str, form: str, requests: int) -> Row:
    """Run one workload in a fresh process.

    Returns:
        What `one_run.py` prints; with the outcome ``"error"`` if it failed.
    """
    command = [sys.executable, str(HERE / "one_run.py"), name, form, str(requests)]
    done = _finish(command, {})
    if done.returncode == 0:
        row: Row = json.loads(done.stdout.splitlines()[-1])
        return row
    truth = {"name": name, "form": form, "requests": requests, "leaks": WORKLOADS[name].leaks}
    return {**truth, "outcome": "error", "naive": "", "error": done.stderr[-3000:]}


def run_psleak(python: str, name: str, requests: int) -> str:
    command = [python, str(HERE / "with_psleak.py"), name, str(requests)]
    done = _finish(command, {"PYTHONMALLOC": "malloc"})
    if done.returncode:
        return "error"
    return str(json.loads(done.stdout.splitlines()[-1])["outcome"])


def run_memray(python: str, name: str, requests: int) -> str:
    command = [python, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    command += ["--memray", "--trace-python-allocators", str(HERE / "with_memray.py")]
    done = _finish(command, {"LEAK_WORKLOAD": name, "LEAK_REQUESTS": str(requests)})
    if done.returncode == 0:
        return "passed"
    return "violated" if "at least one location leaked more" in done.stdout else "error"


def _finish(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False,
            env=os.environ | environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"took more than {TIMEOUT} s")


def has(python: str, module: str) -> bool:
    return _finish([python, "-c", f"import {module}"], {}).returncode == 0


def jobs(options: argparse.Namespace, others: dict[str, bool]) -> Iterator[Callable[[], Row]]:
    """What is to be run, as functions that each give a row."""
    for _ in range(options.repeat):
        for requests in options.requests:
            for workload in WORKLOADS.values():
                if options.only and workload.name not in options.only:
                    continue
                for form in workload.forms:
                    if not options.forms or form in options.forms:
                        yield partial(_row, workload, form, requests, options, others)


def _row(
    workload: Workload,
    form: str,
    requests: int,
    options: argparse.Namespace,
    others: dict[str, bool],
) -> Row:
    row = run_one(workload.name, form, requests)
    applies = form == "sync" and workload.alone
    row["psleak"] = row["memray"] = ""
    if applies and others["psleak"]:
        row["psleak"] = run_psleak(options.others, workload.name, requests)
    if applies and others["pytest_memray"]:
        row["memray"] = run_memray(options.others, workload.name, requests)
    return row


def is_right(row: Row, by: str = "outcome") -> bool:
    return bool(row[by] == ("violated" if row["leaks"] else "passed"))


def show(row: Row) -> None:
    site = row.get("true_site")
    cells = [f"{row['name']:32}{row['form']:10}{row['requests']:6,}{row['leaks']:9,.0f}"]
    for by in ("outcome", "naive", "psleak", "memray"):
        wrong = bool(row[by]) and not is_right(row, by)
        cells.append(f"{row[by] + '!' * wrong:13}")
    cells.append(f"{site or '-' if row['outcome'] == 'violated' else '':>4}")
    cells.append(f"{row.get('seconds', 0):8.1f}")
    print(" ".join(cells), flush=True)


def share(rows: Sequence[Row], holds: Callable[[Row], object]) -> float:
    return 100 * sum(map(bool, map(holds, rows))) / len(rows) if rows else float("nan")


def summarize(rows: Sequence[Row], targets: Targets) -> None:
    for requests in sorted({row["requests"] for row in rows}):
        print(f"\n{requests:,} requests")
        some = [row for row in rows if row["requests"] == requests]
        _summarize_one(some, targets)
        for by in ("naive", "psleak", "memray"):
            judged = [row for row in some if row[by]]
            for word, leaks in (("false alarms", False), ("leaks found", True)):
                kind = [row for row in judged if bool(row["leaks"]) == leaks]
                if kind:
                    value = 100 * sum(row[by] == "violated" for row in kind) / len(kind)
                    targets.show(f"  {by}: {word} of {len(kind)}", value, unit="%")


def _summarize_one(rows: Sequence[Row], targets: Targets) -> None:
    stable = [row for row in rows if not row["leaks"]]
    leaking = [row for row in rows if row["leaks"]]
    found = [row for row in leaking if row["outcome"] == "violated"]
    if stable:
        value = share(stable, lambda row: row["outcome"] == "violated")
        most = MOST_FALSE_ALARMS
        targets.show(f"  false alarms of {len(stable)}", value, most=most, unit="%")
    if leaking:
        value = share(leaking, lambda row: row["outcome"] == "violated")
        targets.show(f"  leaks found of {len(leaking)}", value, least=LEAST_FOUND, unit="%")
        value = share(found, lambda row: row.get("true_site"))
        text = f"  true site in the top three of {len(found)} found"
        targets.show(text, value, least=LEAST_SITES, unit="%")
    for word, kind in (("stable", stable), ("leaking", leaking)):
        if kind:
            value = share(kind, lambda row: row["outcome"] == "inconclusive")
            targets.show(f"  inconclusive of {len(kind)} {word}", value, unit="%")
    errors = sum(row["outcome"] == "error" for row in rows)
    if errors:
        targets.note(f"  {errors} runs failed", held=False)


def explain(rows: Iterable[Row]) -> None:
    """Print what was found where the outcome or the site is wrong."""
    for row in rows:
        blind = row["outcome"] == "violated" and row["leaks"] and not row.get("true_site")
        if is_right(row) and not blind:
            continue
        print(f"\n{row['name']} {row['form']} {row['requests']:,}: {row['outcome']}")
        for line in row.get("judgements", []):
            print(f"  {line}")
        for site in row.get("sites", []):
            print(f"  {site['at']}: {site['bytes']:.0f} B, {site['blocks']:.2f} blocks")
        for word in ("sites_note", "error"):
            if row.get(word):
                print(f"  {row[word]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="names of workloads")
    parser.add_argument("--forms", nargs="+", choices=("sync", "async", "benchmark"))
    parser.add_argument("--requests", nargs="+", type=int, default=[1200, 5000])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--others", help="the Python that has psleak and pytest-memray")
    parser.add_argument("--json", type=Path, help="where to write what each run gave")
    options = parser.parse_args()
    unknown = set(options.only or ()) - set(WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    others = {
        module: bool(options.others) and has(options.others, module)
        for module in ("psleak", "pytest_memray")
    }
    missing = [module.replace("_", "-") for module, is_there in others.items() if not is_there]
    if missing:
        print(f"without {' and '.join(missing)}: install it as --help says, and give --others\n")
    print(f"{'':32}{'':10}{'reqs':>6}{'B leaked':>9} {'senytl':13} {'naive':13} {'psleak':13} "
          f"{'memray':13} {'site':>4} {'seconds':>8}")  # fmt: skip
    rows = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for row in pool.map(lambda job: job(), jobs(options, others)):
            rows.append(row)
            show(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    explain(rows)
    targets = Targets()
    summarize(rows, targets)
    return targets.exit_code()
