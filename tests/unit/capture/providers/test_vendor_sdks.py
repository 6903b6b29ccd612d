"""The vendors' own SDKs read what the formats write, from a server on 127.0.0.1."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from senytl.capture.calls import PendingCall
from senytl.capture.framing import ARRAY, SSE
from senytl.capture.providers import FORMATS, SUFFIXES
from senytl.models import MockResponse, TokenUsage, ToolCall

REPLY = MockResponse(
    "Grüße from Paris.",
    (ToolCall("get_weather", {"city": "Paris", "days": [1, 2]}, "call_1"),),
    TokenUsage(70, 20, cached_tokens=30),
    "Hm. Well.",
)
MESSAGES = [{"role": "user", "content": "Hi"}]


class Vendor(ThreadingHTTPServer):
    """Answers every LLM call in its own format, and with an error where a status is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.apis: list[str] = []
        self.models: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        url = urlsplit(self.path)
        assert url.path.endswith(SUFFIXES)
        found = ((wire, wire.recognise(unquote(url.path), body)) for wire in FORMATS)
        wire, asked = next((wire, asked) for wire, asked in found if asked is not None)
        self.server.apis.append(wire.api)
        self.server.models.append(asked.model)
        call = PendingCall(wire.api, wire.vendor, asked.model, body, asked.streamed)
        framing = SSE if wire.framing is ARRAY and "alt=sse" in url.query else wire.framing
        kind, pieces = "application/json", []
        if self.server.status != 200:
            document = wire.write_error(self.server.status, "not today")
            pieces = [json.dumps(document).encode()]
        elif asked.streamed:
            kind = framing.content_type
            pieces = list(framing.write(wire.write_events(REPLY, call)))
        else:
            pieces = [json.dumps(wire.write_reply(REPLY, call)).encode()]
        self.send_response(self.server.status)
        self.send_header("content-type", kind)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def openai_client(vendor: Vendor) -> Any:
    openai = pytest.importorskip("openai")
    return openai.OpenAI(api_key="none", base_url=f"{vendor.url}/v1", max_retries=0)


def test_openai_reads_a_completion(vendor: Vendor) -> None:
    with openai_client(vendor) as client:
        reply = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hi")
        assert (reply.choices[0].text, reply.usage.prompt_tokens) == (REPLY.text, 70)
        options = {"include_usage": True}
        chunks = list(
            client.completions.create(model="m", prompt="Hi", stream=True, stream_options=options)
        )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == REPLY.text
    assert chunks[-1].usage.completion_tokens == 20
    assert vendor.apis == ["openai-completions"] * 2


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_openai_reads_embeddings(vendor: Vendor, encoding: str | None) -> None:
    options: dict[str, Any] = {} if encoding is None else {"encoding_format": encoding}
    with openai_client(vendor) as client:
        reply = client.embeddings.create(
            model="text-embedding-3-small", input=["a", "b", "a"], dimensions=5, **options
        )
    first, second, third = (item.embedding for item in reply.data)
    assert first == third != second
    if encoding != "base64":
        assert len(first) == 5
        assert sum(number**2 for number in first) == pytest.approx(1)
    assert (reply.usage.prompt_tokens, reply.usage.total_tokens) == (70, 70)


def test_openai_raises_its_own_errors(vendor: Vendor) -> None:
    openai = pytest.importorskip("openai")
    vendor.status = 429
    with openai_client(vendor) as client, pytest.raises(openai.RateLimitError, match="not today"):
        client.embeddings.create(model="m", input="a")


def test_anthropic_reads_messages_on_bedrock(vendor: Vendor, monkeypatch: Any) -> None:
    anthropic = pytest.importorskip("anthropic")
    pytest.importorskip("botocore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    model = "us.anthropic.claude-sonnet-4-20250514-v1:0"
    asked: dict[str, Any] = {"model": model, "max_tokens": 9, "messages": MESSAGES}
    with anthropic.AnthropicBedrock(
        aws_region="us-east-1", base_url=vendor.url, max_retries=0
    ) as client:
        _check_anthropic(client, asked)
        vendor.status = 503
        with pytest.raises(anthropic.InternalServerError, match="not today"):
            client.messages.create(**asked)
    assert vendor.apis == ["anthropic-messages"] * 3
    assert vendor.models == [model] * 3


def test_anthropic_reads_messages_on_vertex(vendor: Vendor) -> None:
    anthropic = pytest.importorskip("anthropic")
    model = "claude-sonnet-4@20250514"
    with anthropic.AnthropicVertex(
        region="us-east5", project_id="p", access_token="none", base_url=f"{vendor.url}/v1"
    ) as client:
        _check_anthropic(client, {"model": model, "max_tokens": 9, "messages": MESSAGES})
    assert vendor.apis == ["anthropic-messages"] * 2
    assert vendor.models == [model] * 2


def _check_anthropic(client: Any, asked: dict[str, Any]) -> None:
    message = client.messages.create(**asked)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    assert message.content[1].text == REPLY.text
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == REPLY.text
        final = stream.get_final_message()
    assert final.content[2].input == REPLY.tool_calls[0].arguments
    assert (final.usage.input_tokens, final.usage.cache_read_input_tokens) == (40, 30)


@pytest.fixture
def bedrock(vendor: Vendor) -> Any:
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"max_attempts": 0})
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=vendor.url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=config,
    )


PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"


def test_boto3_reads_converse(vendor: Vendor, bedrock: Any) -> None:
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]
    reply = bedrock.converse(modelId=PROFILE, messages=messages)
    thought, text, tool = reply["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == REPLY.reasoning
    assert text == {"text": REPLY.text}
    assert tool["toolUse"]["input"] == REPLY.tool_calls[0].arguments
    assert reply["usage"] == {
        "inputTokens": 40,
        "outputTokens": 20,
        "totalTokens": 90,
        "cacheReadInputTokens": 30,
        "cacheWriteInputTokens": 0,
    }
    assert reply["stopReason"] == "tool_use"
    events = list(bedrock.converse_stream(modelId=PROFILE, messages=messages)["stream"])
    deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    assert "".join(delta.get("text", "") for delta in deltas) == REPLY.text
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 20
    assert vendor.models == [PROFILE] * 2


@pytest.mark.parametrize(
    ("status", "name"), [(429, "ThrottlingException"), (500, "InternalServerException")]
)
def test_boto3_raises_its_own_errors(vendor: Vendor, bedrock: Any, status: int, name: str) -> None:
    vendor.status = status
    with pytest.raises(getattr(bedrock.exceptions, name), match="not today"):
        bedrock.converse(
            modelId="amazon.nova-lite-v1:0", messages=[{"role": "user", "content": [{"text": "x"}]}]
        )


def test_ollama_reads_chats_completions_and_embeddings(vendor: Vendor) -> None:
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=vendor.url)
    reply = client.chat(model="qwen3", messages=MESSAGES)
    assert (reply.message.content, reply.message.thinking) == (REPLY.text, REPLY.reasoning)
    assert reply.message.tool_calls[0].function.arguments == REPLY.tool_calls[0].arguments
    assert (reply.prompt_eval_count, reply.eval_count, reply.done) == (70, 20, True)
    lines = list(client.chat(model="qwen3", messages=MESSAGES, stream=True))
    assert "".join(line.message.content for line in lines) == REPLY.text
    assert [line.done for line in lines][-2:] == [False, True]
    assert client.generate(model="qwen3", prompt="Hi").response == REPLY.text
    parts = list(client.generate(model="qwen3", prompt="Hi", stream=True))
    assert "".join(part.response for part in parts) == REPLY.text
    embeddings = client.embed(model="nomic-embed-text:latest", input=["a", "b"]).embeddings
    assert [len(one) for one in embeddings] == [768, 768]
    assert len(client.embeddings(model="other", prompt="a").embedding) == 16
    vendor.status = 404
    with pytest.raises(ollama.ResponseError, match="not today"):
        client.chat(model="qwen3", messages=MESSAGES)
    assert vendor.apis == [
        "ollama-chat",
        "ollama-chat",
        "ollama-generate",
        "ollama-generate",
        "ollama-embed",
        "ollama-embed",
        "ollama-chat",
    ]


def test_cohere_reads_chats(vendor: Vendor) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="none", base_url=vendor.url)
    reply = client.chat(model="command-a-03-2025", messages=MESSAGES)
    assert [part.type for part in reply.message.content] == ["thinking", "text"]
    assert reply.message.content[1].text == REPLY.text
    assert json.loads(reply.message.tool_calls[0].function.arguments) == {
        "city": "Paris",
        "days": [1, 2],
    }
    assert reply.finish_reason == "TOOL_CALL"
    assert reply.usage.billed_units.input_tokens == 70
    text, arguments, end = "", "", None
    for event in client.chat_stream(model="command-a-03-2025", messages=MESSAGES):
        if event.type == "content-delta":
            text += event.delta.message.content.text or ""
        elif event.type == "tool-call-delta":
            arguments += event.delta.message.tool_calls.function.arguments
        elif event.type == "message-end":
            end = event.delta
    assert (text, json.loads(arguments)) == (REPLY.text, REPLY.tool_calls[0].arguments)
    assert end is not None
    assert end.usage.tokens.output_tokens == 20
    assert vendor.apis == ["cohere-chat"] * 2


def test_cohere_reads_chats_of_version_1(vendor: Vendor) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.Client(api_key="none", base_url=vendor.url)
    reply = client.chat(model="command-r", message="Hi")
    assert reply.text == REPLY.text
    assert reply.tool_calls[0].parameters == REPLY.tool_calls[0].arguments
    assert reply.meta.billed_units.output_tokens == 20
    events = list(client.chat_stream(model="command-r", message="Hi"))
    texts = [event.text for event in events if event.event_type == "text-generation"]
    assert "".join(texts) == REPLY.text
    assert events[-1].response.text == REPLY.text
    assert vendor.apis == ["cohere-chat-v1"] * 2


def test_cohere_reads_embeddings(vendor: Vendor) -> None:
    cohere = pytest.importorskip("cohere")
    client = cohere.ClientV2(api_key="none", base_url=vendor.url)
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64"]
    reply = client.embed(
        model="embed-v4.0",
        texts=["a", "b"],
        input_type="search_query",
        embedding_types=kinds,
        output_dimension=256,
    )
    assert [len(one) for one in reply.embeddings.float_] == [256, 256]
    assert len(reply.embeddings.ubinary[0]) == 32
    assert max(reply.embeddings.uint8[0]) <= 255
    assert min(reply.embeddings.binary[0]) >= -128
    assert reply.meta.billed_units.input_tokens == 70
    old = cohere.Client(api_key="none", base_url=vendor.url)
    floats = old.embed(model="embed-english-v3.0", texts=["a"], input_type="search_query")
    assert len(floats.embeddings[0]) == 1024
    vendor.status = 429
    with pytest.raises(cohere.TooManyRequestsError):
        client.chat(model="m", messages=MESSAGES, request_options={"max_retries": 0})


def test_google_reads_embeddings(vendor: Vendor) -> None:
    genai = pytest.importorskip("google.genai")
    with genai.Client(api_key="none", http_options={"base_url": vendor.url}) as client:
        reply = client.models.embed_content(
            model="gemini-embedding-001",
            contents=["a", "b"],
            config={"output_dimensionality": 12},
        )
    assert [len(one.values) for one in reply.embeddings] == [12, 12]
    assert vendor.apis == ["gemini-embeddings"]
    assert vendor.models == ["gemini-embedding-001"]


def test_mistral_reads_chats_and_completions_of_code(vendor: Vendor) -> None:
    mistral = pytest.importorskip("mistralai.client")
    with mistral.Mistral(api_key="none", server_url=vendor.url) as client:
        chat = client.chat.complete(model="mistral-small-latest", messages=MESSAGES)
        code = client.fim.complete(model="codestral-latest", prompt="def f(", suffix="return 1")
        with client.fim.stream(model="codestral-latest", prompt="def f(") as stream:
            pieces = [event.data.choices[0].delta.content or "" for event in stream]
    assert chat.choices[0].message.content == code.choices[0].message.content == REPLY.text
    assert "".join(pieces) == REPLY.text
    assert vendor.apis == ["openai-chat", "mistral-fim", "mistral-fim"]


def test_groq_reads_chats(vendor: Vendor) -> None:
    groq = pytest.importorskip("groq")
    with groq.Groq(api_key="none", base_url=vendor.url) as client:
        chat = client.chat.completions.create(model="llama-3.3-70b-versatile", messages=MESSAGES)
    assert chat.choices[0].message.content == REPLY.text
    assert vendor.apis == ["openai-chat"]
