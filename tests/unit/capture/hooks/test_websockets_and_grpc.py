"""Real WebSockets and gRPC against servers on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import aiohttp
import grpc  # type: ignore[import-untyped]
import pytest
from aiohttp import web
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from senytl.capture import CaptureScope, CaptureWarning
from senytl.capture.unseen import Unseen, unseen_calls


def missed(before: Any) -> list[Unseen]:
    return list((unseen_calls() - before).elements())


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a WebSocket server that says everything back."""

    def say_back(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(say_back, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def say(uri: str, port: int) -> str:
    """Say hello to a host that is at 127.0.0.1, whatever its name."""
    sock = socket.create_connection(("127.0.0.1", port))
    with connect(uri, sock=sock, proxy=None) as connection:
        connection.send("hello")
        return str(connection.recv())


def say_async(uri: str, port: int) -> str:
    async def run() -> str:
        async with connect_async(uri, host="127.0.0.1", port=port, proxy=None) as connection:
            await connection.send("hello")
            return str(await connection.recv())

    return asyncio.run(run())


LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=none"


@pytest.mark.parametrize("way", [say, say_async])
@pytest.mark.parametrize(
    ("uri", "vendor"),
    [
        ("ws://api.openai.com/v1/realtime?model=gpt-realtime", "openai"),
        ("ws://api.openai.com/whatever/comes/next", "openai"),
        ("ws://mine.openai.azure.com/openai/realtime", "azure"),
        ("ws://generativelanguage.googleapis.com" + LIVE, "google"),
        ("ws://127.0.0.1" + LIVE, "google"),
        ("ws://localhost/v1/realtime", "openai"),
        ("ws://api.x.ai/v1/realtime", "x-ai"),
    ],
)
def test_a_vendors_websocket_is_noticed(
    way: Callable[[str, int], str], uri: str, vendor: str, scope: CaptureScope, echo: int
) -> None:
    before = unseen_calls()
    with pytest.warns(CaptureWarning, match=f"WebSocket connection to {vendor}"):
        assert way(uri, echo) == "hello"
    assert missed(before) == [Unseen("WebSocket", vendor)]


@pytest.mark.parametrize("way", [say, say_async])
def test_other_websockets_are_not(
    way: Callable[[str, int], str], scope: CaptureScope, echo: int
) -> None:
    before = unseen_calls()
    for uri in ("ws://localhost/chat", "ws://mine.webpubsub.azure.com/client/hubs/chat"):
        assert way(uri, echo) == "hello"
    assert missed(before) == []


def test_a_websocket_of_aiohttp_is_noticed(scope: CaptureScope) -> None:
    async def say_back(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data)
        return response

    async def run() -> list[str]:
        app = web.Application()
        app.router.add_get("/v1/realtime", say_back)
        app.router.add_get("/mine", say_back)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        said: list[str] = []
        async with aiohttp.ClientSession() as session, aiohttp.ClientSession(base) as based:
            for opened in (session.ws_connect(base + "/mine"), based.ws_connect("/v1/realtime")):
                async with opened as opened_socket:
                    await opened_socket.send_str("hello")
                    said.append(await opened_socket.receive_str())
            with pytest.raises(aiohttp.InvalidURL):
                await session.ws_connect("/v1/realtime")
        await runner.cleanup()
        return said

    before = unseen_calls()
    with pytest.warns(CaptureWarning, match="WebSocket connection to openai"):
        assert asyncio.run(run()) == ["hello"] * 2
    assert missed(before)[:1] == [Unseen("WebSocket", "openai")]


GEMINI = "google.ai.generativelanguage.v1beta.GenerativeService"
VERTEX = "google.cloud.aiplatform.v1.PredictionService"


@pytest.fixture
def target() -> Iterator[str]:
    """The address of a gRPC server that says everything back, whatever the service."""

    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            if "Bidi" in details.method:
                return grpc.stream_stream_rpc_method_handler(lambda requests, context: requests)
            if "Stream" in details.method:
                return grpc.unary_stream_rpc_method_handler(
                    lambda request, context: iter([request])
                )
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Everything(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def call(channel: Any, method: str) -> bytes:
    return bytes(channel.unary_unary(method)(b"hello"))


def call_with(channel: Any, method: str) -> bytes:
    return bytes(channel.unary_unary(method).with_call(b"hello")[0])


def call_later(channel: Any, method: str) -> bytes:
    return bytes(channel.unary_unary(method).future(b"hello").result())


def call_stream(channel: Any, method: str) -> bytes:
    return b"".join(channel.unary_stream(method)(b"hello"))


def call_both_ways(channel: Any, method: str) -> bytes:
    return b"".join(channel.stream_stream(method)(iter([b"hel", b"lo"])))


@pytest.mark.parametrize(
    ("way", "method", "vendor"),
    [
        (call, f"/{GEMINI}/GenerateContent", "google"),
        (call_with, f"/{GEMINI}/GenerateContent", "google"),
        (call_later, f"/{GEMINI}/BatchEmbedContents", "google"),
        (call_stream, f"/{GEMINI}/StreamGenerateContent", "google"),
        (call_both_ways, f"/{GEMINI}/BidiGenerateContent", "google"),
        (call, f"/{VERTEX}/RawPredict", "google"),
        (call, "/xai_api.Chat/GetCompletion", "x-ai"),
    ],
)
def test_a_vendors_grpc_call_is_noticed_on_a_channel_made_before(
    target: str,
    way: Callable[[Any, str], bytes],
    method: str,
    vendor: str,
    request: pytest.FixtureRequest,
) -> None:
    with grpc.insecure_channel(target) as channel:
        grpc.channel_ready_future(channel).result(5)
        request.getfixturevalue("scope")
        before = unseen_calls()
        with pytest.warns(CaptureWarning, match=f"gRPC call to {vendor}"):
            assert way(channel, method) == b"hello"
    assert missed(before) == [Unseen("gRPC", vendor)]


def test_an_async_grpc_call_is_noticed(scope: CaptureScope, target: str) -> None:
    async def run() -> list[bytes]:
        async with grpc.aio.insecure_channel(target) as channel:
            said = [await channel.unary_unary(f"/{GEMINI}/GenerateContent")(b"hello")]
            stream = channel.unary_stream(f"/{GEMINI}/StreamGenerateContent")
            return said + [piece async for piece in stream(b"hello")]

    before = unseen_calls()
    with pytest.warns(CaptureWarning, match="gRPC call to google"):
        assert asyncio.run(run()) == [b"hello", b"hello"]
    assert missed(before) == [Unseen("gRPC", "google")] * 2


def test_other_grpc_calls_are_not(scope: CaptureScope, target: str) -> None:
    before = unseen_calls()
    with grpc.insecure_channel(target) as channel:
        for method in ("/mine.Agent/Run", f"/{GEMINI}/CountTokens", f"/{VERTEX}/Explain"):
            assert call(channel, method) == b"hello"
    assert missed(before) == []
