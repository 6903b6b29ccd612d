from __future__ import annotations

import subprocess
import sys
import textwrap

import httpx
import httpx2
import pytest

from senytl.capture import CaptureScope, open_scope

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
        print([m for m in ("httpx", "httpx2", "aiohttp", "wrapt") if m in sys.modules])
    """)
    assert output == "[]"


def test_a_library_imported_inside_the_scope_is_hooked_and_not_imported_by_it() -> None:
    output = run("""
        import sys
        from senytl.capture import open_scope
        with open_scope():
            assert not {"httpx", "httpx2", "aiohttp"} & set(sys.modules)
            import httpx2
            inside = httpx2.Client.send
        print(inside is not httpx2.Client.send, httpx2.Client.send.__module__)
    """)
    assert output == "True httpx2._client"


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
