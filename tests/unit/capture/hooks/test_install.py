from __future__ import annotations

import subprocess
import sys
import textwrap
from types import ModuleType

import httpx
import httpx2
import pytest

from senytl.capture import CaptureScope, CaptureWarning, open_scope

SENDS = [
    (module, kind) for module in (httpx, httpx2) for kind in (module.Client, module.AsyncClient)
]
ORIGINALS = {kind: vars(kind)["send"] for _, kind in SENDS}


def hooked() -> list[bool]:
    return [vars(kind)["send"] is not ORIGINALS[kind] for _, kind in SENDS]


def test_the_first_scope_installs_and_the_last_restores() -> None:
    assert not any(hooked())
    first = open_scope()
    second = open_scope()
    assert all(hooked())
    first.close()
    first.close()
    assert all(hooked())
    second.close()
    assert not any(hooked())


def test_a_scope_closes_when_its_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), open_scope():
        raise ZeroDivisionError
    assert not any(hooked())


def test_closing_a_stale_scope_does_not_close_another(scope: CaptureScope) -> None:
    stale = open_scope()
    stale.close()
    stale.close()
    assert all(hooked())


def run(code: str) -> str:
    """Run code in a fresh process, where nothing is imported yet."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_capture_loads_no_http_library_and_patches_nothing() -> None:
    output = run("""
        import sys
        import senytl.capture
        names = ("httpx", "httpx2", "aiohttp", "botocore", "requests", "urllib3", "websockets",
                 "grpc", "vcr", "subprocess", "wrapt")
        print([m for m in names if m in sys.modules])
    """)
    assert output == "[]"


def test_a_library_imported_inside_the_scope_is_hooked_and_not_imported_by_it() -> None:
    output = run("""
        import sys
        from senytl.capture import open_scope
        with open_scope():
            hooked = {"httpx", "httpx2", "aiohttp", "botocore", "requests", "websockets", "grpc",
                      "vcr", "pook", "aioresponses"}
            assert not hooked & set(sys.modules)
            import httpx2
            inside = httpx2.Client.send
        print(inside is not httpx2.Client.send, httpx2.Client.send.__module__)
    """)
    assert output == "True httpx2._client"


def test_every_library_that_is_imported_inside_the_scope_is_hooked_and_left_as_it_was() -> None:
    output = run("""
        import sys
        from senytl.capture import open_scope
        def methods():
            import aiohttp, aioresponses.core, botocore.httpsession, grpc
            import grpc._channel, grpc.aio._channel, multiprocessing.process, requests
            import subprocess, vcr.cassette, websockets.client
            yield aiohttp.ClientSession._request
            yield aiohttp.ClientSession.ws_connect
            yield aioresponses.core.aioresponses.start
            yield aioresponses.core.aioresponses.stop
            yield botocore.httpsession.URLLib3Session.send
            yield grpc._channel._UnaryUnaryMultiCallable.__call__
            yield grpc.aio._channel.UnaryStreamMultiCallable.__call__
            yield multiprocessing.process.BaseProcess.start
            yield requests.Session.send
            yield subprocess.Popen.__init__
            yield vcr.cassette.CassetteContextDecorator.__enter__
            yield vcr.cassette.CassetteContextDecorator.__exit__
            yield websockets.client.ClientProtocol.connect
        with open_scope():
            inside = list(methods())
        outside = list(methods())
        print([below.__qualname__ for ours, below in zip(inside, outside)
               if getattr(ours, "__wrapped__", None) is not below])
    """)
    assert output == "[]"


def test_a_library_imported_after_the_scope_is_left_alone_until_the_next() -> None:
    output = run("""
        from senytl.capture import open_scope
        with open_scope():
            pass
        import httpx
        outside = httpx.Client.send
        with open_scope():
            print(httpx.Client.send is not outside, end=" ")
        print(httpx.Client.send is outside)
    """)
    assert output == "True True"


def test_modules_aliased_to_one_are_hooked_once() -> None:
    output = run("""
        import json, sys
        import httpx2
        sys.modules["httpx"] = httpx2
        from senytl.capture import open_scope
        original = httpx2.Client.send
        class Sink(list):
            add_call = list.append
        sink = Sink()
        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))
        client = httpx2.Client(transport=transport)
        body = {"model": "gpt-4o", "messages": []}
        with open_scope(unattributed=sink):
            assert httpx2.Client.send.__wrapped__ is original
            client.post("http://localhost/v1/chat/completions", json=body)
        print(len(sink), httpx2.Client.send is original)
    """)
    assert output == "1 True"


def test_a_library_that_is_kept_from_being_imported_is_left_out() -> None:
    output = run("""
        import sys
        from senytl.capture import open_scope
        sys.modules["aiohttp"] = None
        with open_scope():
            pass
        print(sys.modules["aiohttp"])
    """)
    assert output == "None"


def test_a_stand_in_for_a_library_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("httpx")
    monkeypatch.setitem(sys.modules, "httpx", stand_in)
    with pytest.warns(CaptureWarning, match="calls made through httpx"):
        scope = open_scope()
    assert hooked() == [False, False, True, True]
    scope.close()
    assert not any(hooked())


def test_a_library_that_is_imported_anew_in_a_later_scope_is_hooked_there() -> None:
    output = run("""
        import sys
        from senytl.capture import open_scope
        found = []
        for _ in range(3):
            for name in [name for name in sys.modules if name.partition(".")[0] == "httpx2"]:
                del sys.modules[name]
            with open_scope():
                import httpx2
                found.append(httpx2.Client.send)
            found[-1] = found[-1] is not httpx2.Client.send
        print(found)
    """)
    assert output == "[True, True, True]"
