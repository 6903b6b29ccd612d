from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from senytl.performance import PerformanceMetrics
from senytl.performance.report import json as json_format
from senytl.performance.report.document import describe_run, describe_session

MakeRun = Callable[..., PerformanceMetrics]


def test_it_is_the_document_itself(make_run: MakeRun) -> None:
    run = describe_run(make_run(slas={"p95_latency": 1.0}))
    session = describe_session([run])
    assert json.loads(json_format.render_run(run)) == run
    assert json.loads(json_format.render_session(session)) == session
    assert json_format.render_run(run).startswith('{\n  "nodeid": "tests/test_agent.py::test_load"')


def test_text_stays_readable_but_nothing_in_it_is_obeyed(make_run: MakeRun) -> None:
    name = "test[ż-日本-\x1b[31m-\x9b31m-\u202e]"
    written = json_format.render_run(describe_run(make_run(name)))
    assert "ż-日本" in written
    assert not [c for c in written if c != "\n" and not c.isprintable()]
    assert json.loads(written)["nodeid"] == name


def test_a_figure_that_json_cannot_hold_is_refused(make_run: MakeRun) -> None:
    document = describe_run(make_run())
    document["throughput_rps"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_format.render_run(document)
