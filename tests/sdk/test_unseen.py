"""What SDKs send past HTTP: the real clients' WebSockets, to a server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import openai
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google import genai
from websockets.sync.server import ServerConnection, serve

from senytl.capture import CaptureWarning, open_scope
from senytl.capture.unseen import Unseen, unseen_calls

# openai still calls the sync client of websockets in a way that its newest versions advise against.
pytestmark = pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning")


@contextmanager
def speaking(secure: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a WebSocket server that answers everything with one event."""

    def speak(connection: ServerConnection) -> None:
        for _ in connection:
            connection.send(json.dumps({"type": "response.done", "setupComplete": {}}))

    with serve(speak, "127.0.0.1", 0, ssl=secure) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "senytl's tests")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(pem)
    )
    return file


def realtime(address: str) -> None:
    client = openai.OpenAI(api_key="none", websocket_base_url=f"ws://{address}/v1")
    with client, client.realtime.connect(model="gpt-realtime") as connection:
        connection.response.create()
        assert connection.recv().type == "response.done"


def async_realtime(address: str) -> None:
    async def run() -> None:
        client = openai.AsyncOpenAI(api_key="none", websocket_base_url=f"ws://{address}/v1")
        async with client, client.realtime.connect(model="gpt-realtime") as connection:
            await connection.response.create()
            assert (await connection.recv()).type == "response.done"

    asyncio.run(run())


@pytest.mark.parametrize("use", [realtime, async_realtime])
def test_openais_realtime_is_warned_of(sink: Any, use: Any) -> None:
    before = unseen_calls()
    with (
        speaking() as address,
        open_scope(unattributed=sink),
        pytest.warns(CaptureWarning, match="WebSocket connection to openai"),
    ):
        use(address)
    assert sink.calls == []
    assert unseen_calls() - before == {Unseen("WebSocket", "openai"): 1}


def test_geminis_live_is_warned_of(sink: Any, tmp_path: Path) -> None:
    file = certificate(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    trusting = ssl.create_default_context(cafile=file)

    async def run(address: str) -> None:
        options: Any = {"base_url": f"https://{address}", "async_client_args": {"ssl": trusting}}
        client = genai.Client(api_key="none", vertexai=False, http_options=options)
        async with client.aio.live.connect(model="gemini-live") as session:
            await session.send_realtime_input(text="hello")
        client.close()

    before = unseen_calls()
    with (
        speaking(server) as address,
        open_scope(unattributed=sink),
        pytest.warns(CaptureWarning, match="WebSocket connection to google"),
    ):
        asyncio.run(run(address))
    assert sink.calls == []
    assert unseen_calls() - before == {Unseen("WebSocket", "google"): 1}
