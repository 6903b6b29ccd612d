"""The hook on ``send`` of botocore's HTTP session, through which boto3 reaches Bedrock.

Everything that botocore sends goes through it once for each attempt, below its signing and retries
and above its reading of replies.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from senytl.capture.begin import Sending, ask_for
from senytl.capture.calls import warn
from senytl.capture.exchange import Exchange
from senytl.capture.hooks.patching import Seat
from senytl.capture.hooks.urllib3_answers import open_answer, read_timeout
from senytl.capture.hooks.urllib3_calls import begin_call, finish, watch
from senytl.capture.playback import Playback
from senytl.capture.retries import RETRY_HEADER

__all__ = ["seats"]

_ATTEMPT = re.compile(r"attempt=(\d+)")  # of the header amz-sdk-request


def seats(module: ModuleType) -> Iterator[Seat]:
    """The method of `botocore.httpsession` to wrap."""
    session: type | None = getattr(module, "URLLib3Session", None)
    if session is None or not hasattr(session, "send"):
        warn(
            "senytl cannot see LLM calls made through this version of botocore: its HTTP sessions "
            "have changed. Calls of Bedrock are missing from every figure; use an older botocore."
        )
        return
    yield Seat(session, "send", _wrap)


def _wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, request: Any) -> Any:
        __tracebackhide__ = True
        exchange = begin_call(request.method, request.url, request.body, _retries(request))
        if exchange is None:
            return original(self, request)
        playback = ask_for(exchange)
        try:
            with Sending(exchange):
                if playback is None:
                    response = original(self, request)
                else:
                    patience = read_timeout(getattr(self, "_timeout", None))
                    response = _answer(request, exchange, playback.for_patience(patience))
        except BaseException as error:
            exchange.fail(error)
            raise
        if request.stream_output:
            watch(response, exchange)
        else:
            finish(response, response.content, exchange)
        return response

    return send


def _retries(request: Any) -> dict[str, str]:
    """How many retries came before, in the header that other SDKs use for it."""
    header = request.headers.get("amz-sdk-request")
    text = header.decode("latin-1") if isinstance(header, bytes) else str(header)
    found = _ATTEMPT.search(text)
    return {RETRY_HEADER: str(int(found[1]) - 1)} if found else {}


def _answer(request: Any, exchange: Exchange, playback: Playback) -> Any:
    """The answer as a response of botocore; it fails as botocore's own would."""
    from urllib3 import exceptions as urllib3_errors

    errors = import_module("botocore.exceptions")
    try:
        raw = open_answer(playback, exchange.start)
        response = import_module("botocore.awsrequest").AWSResponse(
            request.url, raw.status, raw.headers, raw
        )
        if not request.stream_output:
            response.content  # noqa: B018  # reads it
    except (TimeoutError, urllib3_errors.ReadTimeoutError) as error:
        raise errors.ReadTimeoutError(endpoint_url=request.url, error=error) from error
    except (http.client.RemoteDisconnected, urllib3_errors.ProtocolError) as error:
        raise errors.ConnectionClosedError(
            error=error, request=request, endpoint_url=request.url
        ) from error
    return response
