from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest

from senytl.capture.outcome import kind_of_exception, kind_of_status, outcome_of_exception


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ReadTimeout("x"), "timeout"),
        (httpx2.ConnectTimeout("x"), "timeout"),
        (TimeoutError(), "timeout"),
        (httpx2.ConnectError("x"), "connection"),
        (httpx2.RemoteProtocolError("x"), "connection"),
        (ConnectionResetError(), "connection"),
        (socket.gaierror(), "connection"),
        (ValueError("x"), "other"),
    ],
)
def test_exceptions_have_a_kind(error: BaseException, kind: str) -> None:
    assert kind_of_exception(error) == kind
    assert outcome_of_exception(error) == "failed"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), KeyboardInterrupt()])
def test_cancellations_are_no_failures(error: BaseException) -> None:
    assert outcome_of_exception(error) == "cancelled"


def test_statuses_that_nobody_lists_have_the_kind_of_their_class() -> None:
    assert (kind_of_status(418), kind_of_status(599)) == ("invalid_request", "server_error")
