"""The table of docs/reference/sdks.md, written from what the tests of SDKs found.

``python -m tests.compat.table check FILE`` compares the page with a file that the tests wrote, and
``python -m tests.compat.table write FILE`` brings the page up to date.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "render", "with_table"]

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sdks.md"
COLUMNS = ("sync", "async", "stream", "tools", "mock", "usage", "TTFT")
COUNTED = "its streams report no usage; the tokens are counted, and marked as such"


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of one environment, and what its numbers in brackets stand for.

    Args:
        rows: Rows as the tests describe them.
    """
    notes: list[str] = []

    def note(text: str) -> str:
        if text not in notes:
            notes.append(text)
        return f" ({notes.index(text) + 1})"

    lines = [
        f"| SDK or framework | package | HTTP | {' | '.join(COLUMNS)} |",
        f"| --- | --- | --- |{' --- |' * len(COLUMNS)}",
    ]
    for row in rows:
        cells = [row["name"], f"`{row['package']}` {row['version']}", _stack(row["stacks"])]
        for column in COLUMNS:
            cells.append(_cell(row, column, note))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"{place}. {text}" for place, text in enumerate(notes, 1))]
    return "\n".join(lines).rstrip() + "\n"


def _cell(row: Mapping[str, Any], column: str, note: Any) -> str:
    outcomes = row["cells"].get(column)
    if not outcomes:
        reason = row["without"].get(column)
        return f"–{note(reason)}" if reason else "not tested"
    if set(outcomes.values()) != {"passed"}:
        return "**no**"
    partial = row["without"].get(f"sync-{column}")
    if partial:
        return f"yes{note(partial)}"
    if column == "usage" and row["stream_usage"] == "counted":
        return f"yes{note(COUNTED)}"
    return "yes"


def _stack(stacks: Mapping[str, Sequence[str]]) -> str:
    by_style = {style: " over ".join(libraries) for style, libraries in stacks.items()}
    sync, other = by_style.get("sync", ""), by_style.get("async", "")
    return f"{sync}; async: {other}" if other not in ("", sync) else sync or other


def with_table(page: str, environment: str, table: str) -> str:
    """The page with the table of one environment replaced.

    Raises:
        ValueError: If the page has no place for it.
    """
    place = re.compile(
        rf"(?<=<!-- table: {environment} -->\n).*?(?=<!-- end of table -->)", re.DOTALL
    )
    if not place.search(page):
        raise ValueError(f"{PAGE.name} has no line <!-- table: {environment} -->")
    return place.sub(lambda _: f"\n{table}\n", page, count=1)


def main(arguments: Sequence[str]) -> int:
    """Check the page, or write it."""
    if len(arguments) != 2 or arguments[0] not in ("check", "write"):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    action, source = arguments
    found = json.loads(Path(source).read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    expected = with_table(page, found["environment"], render(found["rows"]))
    if action == "write":
        PAGE.write_text(expected, encoding="utf-8")
    elif page != expected:
        difference = sorted(set(expected.splitlines()) - set(page.splitlines()))
        sys.stderr.write(
            f"{PAGE.name} does not say what the tests found. Lines that it should have:\n"
            + "\n".join(difference)
            + f"\nBring it up to date: python -m tests.compat.table write {source}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
