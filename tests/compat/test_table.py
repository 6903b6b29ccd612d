"""How the table of SDKs is written, and that the page has one without a gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.compat import rows_frameworks, rows_sdks, table

PASSED = {"sync": "passed", "async": "passed"}
ROW: dict[str, Any] = {
    "name": "An SDK",
    "package": "an-sdk",
    "version": "3",
    "stream_usage": "reported",
    "without": {},
    "stacks": {"sync": ["httpx"], "async": ["httpx"]},
    "cells": dict.fromkeys(table.COLUMNS, PASSED),
}


def cells_of(**changes: Any) -> list[str]:
    line = table.render([ROW | changes]).splitlines()[2]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_row_in_which_all_passed_says_yes_throughout() -> None:
    assert cells_of() == ["An SDK", "`an-sdk` 3", "httpx", *["yes"] * 7]


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_one_test_that_did_not_pass_makes_a_cell_no(outcome: str) -> None:
    cells = ROW["cells"] | {"tools": PASSED | {"async": outcome}}
    assert cells_of(cells=cells) == [*cells_of()[:6], "**no**", *["yes"] * 3]


def test_what_an_sdk_does_not_have_is_a_dash_with_its_reason() -> None:
    cells = {column: PASSED for column in table.COLUMNS if column != "async"}
    row = ROW | {"cells": cells, "without": {"async": "it has no async client"}}
    assert cells_of(**row)[4] == "– (1)"
    assert table.render([row, row]).endswith("\n\n1. it has no async client\n")


def test_cell_without_tests_and_without_a_reason_is_not_passed_over() -> None:
    assert cells_of(cells={"sync": PASSED})[4] == "not tested"


def test_tokens_that_are_counted_have_a_note() -> None:
    page = table.render([ROW | {"stream_usage": "counted"}])
    assert "| yes (1) | yes |\n" in page
    assert f"1. {table.COUNTED}\n" in page


def test_http_libraries_stand_in_the_order_in_which_they_send() -> None:
    stacks = {"sync": ["httpx"], "async": ["httpx", "aiohttp"]}
    assert cells_of(stacks=stacks)[2] == "httpx; async: httpx over aiohttp"
    assert cells_of(stacks={"sync": ["botocore"]})[2] == "botocore"


def test_only_the_environment_s_own_table_is_replaced() -> None:
    page = "".join(f"<!-- table: {one} -->\n<!-- end of table -->\n" for one in ("a", "b"))
    assert table.with_table(page, "b", "| x |\n") == (
        "<!-- table: a -->\n<!-- end of table -->\n"
        "<!-- table: b -->\n\n| x |\n\n<!-- end of table -->\n"
    )
    with pytest.raises(ValueError, match="no line <!-- table: c -->"):
        table.with_table(page, "c", "")


def test_check_fails_where_the_page_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "sdks.md"
    page.write_text("<!-- table: newest -->\n<!-- end of table -->\n")
    monkeypatch.setattr(table, "PAGE", page)
    found = tmp_path / "found.json"
    found.write_text(json.dumps({"environment": "newest", "rows": [ROW]}))
    assert table.main(["check", str(found)]) == 1
    assert f"python -m tests.compat.table write {found}" in capsys.readouterr().err
    assert table.main(["write", str(found)]) == 0
    assert table.main(["check", str(found)]) == 0
    found.write_text(json.dumps({"environment": "newest", "rows": [ROW | {"version": "4"}]}))
    assert table.main(["check", str(found)]) == 1
    assert "`an-sdk` 4" in capsys.readouterr().err


def test_page_has_every_row_and_none_of_them_fails() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    for row in rows_sdks.ROWS + rows_frameworks.ROWS:
        assert page.count(f"| {row.name} | `{row.package}` ") == len(row.environments)
    assert "**no**" not in page
    assert "not tested" not in page
