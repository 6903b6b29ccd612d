"""The providers' own SDKs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.compat.row import CHAT_TOOL, SCHEMA, Call, Row, Said, load, now

__all__ = ["ROWS"]

RESPONSES_TOOL: dict[str, Any] = {"type": "function", **CHAT_TOOL["function"], "strict": False}
ANTHROPIC_TOOL = {"name": "get_weather", "description": "The weather.", "input_schema": SCHEMA}


def said_by_completion(completion: Any) -> Said:
    """What a chat completion says; all SDKs of that format have objects of one shape."""
    message = completion.choices[0].message
    said = Said(message.content or "")
    for asked_for in message.tool_calls or []:
        said.add_call(asked_for.function.name, asked_for.function.arguments)
    return said


async def said_by_chunks(call: Call, chunks: Any) -> Said:
    """What a stream of such chunks says."""
    said = Said()
    name = arguments = ""
    async for chunk in call.each(chunks):
        if not chunk.choices:
            continue
        delta = chunk.choices[0].delta
        said.text += delta.content or ""
        for asked_for in delta.tool_calls or []:
            name = asked_for.function.name or name
            arguments += asked_for.function.arguments or ""
    if name:
        said.add_call(name, arguments)
    return said


async def chat(client: Any, model: str, call: Call, **more: Any) -> Said:
    """Call a client of the shape of OpenAI's."""
    asked = {"model": model, "messages": call.messages, **call.tools(CHAT_TOOL)}
    if not call.streams:
        return said_by_completion(await now(client.chat.completions.create(**asked)))
    chunks = await now(client.chat.completions.create(**asked, stream=True, **more))
    return await said_by_chunks(call, chunks)


def openai_client(call: Call) -> Any:
    openai = load("openai")
    client = openai.AsyncOpenAI if call.is_async else openai.OpenAI
    return call.closing(client(base_url=f"{call.url}/v1", api_key="sk-test"))


async def openai_chat(call: Call) -> Said:
    options = {"include_usage": True}
    return await chat(openai_client(call), "gpt-4o", call, stream_options=options)


async def openai_chat_without_usage(call: Call) -> Said:
    return await chat(openai_client(call), "house-model", call)


async def openai_responses(call: Call) -> Said:
    client = openai_client(call)
    asked = {"model": "gpt-4o", "input": call.prompt, **call.tools(RESPONSES_TOOL)}
    if call.streams:
        response = None
        async for event in call.each(await now(client.responses.create(**asked, stream=True))):
            if event.type == "response.completed":
                response = event.response
        assert response is not None
    else:
        response = await now(client.responses.create(**asked))
    said = Said(response.output_text)
    for item in response.output:
        if item.type == "function_call":
            said.add_call(item.name, item.arguments)
    return said


async def openai_embeddings(call: Call) -> Said:
    client = openai_client(call)
    asked = {"model": "text-embedding-3-small", "input": call.prompt}
    response = await now(client.embeddings.create(**asked, encoding_format="float"))
    assert len(response.data) == 1
    return Said()


async def azure_chat(call: Call) -> Said:
    openai = load("openai")
    make = openai.AsyncAzureOpenAI if call.is_async else openai.AzureOpenAI
    client = make(azure_endpoint=call.url, api_key="test", api_version="2024-10-21")
    return await chat(call.closing(client), "gpt-4o", call, stream_options={"include_usage": True})


async def anthropic_messages(call: Call) -> Said:
    anthropic = load("anthropic")
    make = anthropic.AsyncAnthropic if call.is_async else anthropic.Anthropic
    client = call.closing(make(base_url=call.url, api_key="sk-ant-test"))
    return await _anthropic(client, "claude-sonnet-4-6", call)


async def anthropic_bedrock(call: Call) -> Said:
    anthropic = load("anthropic")
    make = anthropic.AsyncAnthropicBedrock if call.is_async else anthropic.AnthropicBedrock
    client = make(
        base_url=call.url, aws_access_key="test", aws_secret_key="test", aws_region="eu-central-1"
    )
    return await _anthropic(call.closing(client), BEDROCK_MODEL, call)


async def _anthropic(client: Any, model: str, call: Call) -> Said:
    asked = {"model": model, "max_tokens": 500, "messages": call.messages}
    asked |= call.tools(ANTHROPIC_TOOL)
    if not call.streams:
        message = await now(client.messages.create(**asked))
    elif call.is_async:
        async with client.messages.stream(**asked) as stream:
            message = await stream.get_final_message()
    else:
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    return _said_by_blocks(block.to_dict() for block in message.content)


def _said_by_blocks(blocks: Iterable[Mapping[str, Any]]) -> Said:
    said = Said()
    for block in blocks:
        if block["type"] == "text":
            said.text += block["text"]
        else:
            said.add_call(block["name"], block["input"])
    return said


async def google_genai(call: Call) -> Said:
    genai = load("google.genai")
    client = genai.Client(api_key="test", http_options={"base_url": call.url})
    return await _google(client, call)


async def google_genai_httpx(call: Call) -> Said:
    genai = load("google.genai")
    options = {"base_url": call.url, "httpx_async_client": load("httpx2").AsyncClient()}
    client = genai.Client(api_key="test", http_options=options)
    return await _google(client, call)


async def _google(client: Any, call: Call) -> Said:
    types = load("google.genai.types")
    asked: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": call.prompt}
    if call.asks_weather:
        function = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
        asked["config"] = {"tools": [types.Tool(function_declarations=[function])]}
    models = client.aio.models if call.is_async else client.models
    said = Said()
    if call.streams:
        replies = await now(models.generate_content_stream(**asked))
    else:
        replies = [await now(models.generate_content(**asked))]
    async for reply in call.each(replies):
        for part in reply.candidates[0].content.parts:
            said.text += part.text or ""
            if part.function_call:
                said.add_call(part.function_call.name, part.function_call.args)
    if call.is_async:
        await client.aio.aclose()
    client.close()
    return said


async def mistral_chat(call: Call) -> Said:
    client = load("mistralai.client").Mistral(api_key="test", server_url=f"{call.url}/mistral")
    asked = {"model": "mistral-large-latest", "messages": call.messages, **call.tools(CHAT_TOOL)}
    if not call.streams:
        complete = client.chat.complete_async if call.is_async else client.chat.complete
        return said_by_completion(await now(complete(**asked)))
    stream = client.chat.stream_async if call.is_async else client.chat.stream
    said = Said()
    async for event in call.each(await now(stream(**asked))):
        delta = event.data.choices[0].delta
        said.text += delta.content or ""
        for asked_for in delta.tool_calls or []:
            said.add_call(asked_for.function.name, asked_for.function.arguments)
    return said


async def groq_chat(call: Call) -> Said:
    groq = load("groq")
    make = groq.AsyncGroq if call.is_async else groq.Groq
    client = call.closing(make(api_key="test", base_url=f"{call.url}/groq"))
    return await chat(client, "llama-3.3-70b-versatile", call)


async def together_chat(call: Call) -> Said:
    together = load("together")
    make = together.AsyncTogether if call.is_async else together.Together
    client = call.closing(make(api_key="test", base_url=f"{call.url}/together"))
    return await chat(client, "meta-llama/Llama-3.3-70B-Instruct-Turbo", call)


async def hugging_face_chat(call: Call) -> Said:
    hub = load("huggingface_hub")
    make = hub.AsyncInferenceClient if call.is_async else hub.InferenceClient
    client = call.closing(make(base_url=f"{call.url}/v1", api_key="test"))
    model = "meta-llama/Llama-3.3-70B-Instruct"
    return await chat(client, model, call, stream_options={"include_usage": True})


async def cohere_chat(call: Call) -> Said:
    cohere = load("cohere")
    make = cohere.AsyncClientV2 if call.is_async else cohere.ClientV2
    client = make(api_key="test", base_url=call.url)
    asked = {"model": "command-a-03-2025", "messages": call.messages, **call.tools(CHAT_TOOL)}
    said = Said()
    if not call.streams:
        message = (await now(client.chat(**asked))).message
        said.text = message.content[0].text if message.content else ""
        for asked_for in message.tool_calls or []:
            said.add_call(asked_for.function.name, asked_for.function.arguments)
        return said
    name = arguments = ""
    async for event in call.each(client.chat_stream(**asked)):
        if event.type == "content-delta":
            said.text += event.delta.message.content.text
        elif event.type == "tool-call-start":
            name = event.delta.message.tool_calls.function.name
            arguments = event.delta.message.tool_calls.function.arguments or ""
        elif event.type == "tool-call-delta":
            arguments += event.delta.message.tool_calls.function.arguments
    if name:
        said.add_call(name, arguments)
    return said


async def ollama_chat(call: Call) -> Said:
    ollama = load("ollama")
    client = (ollama.AsyncClient if call.is_async else ollama.Client)(host=call.url)
    asked = {"model": "llama3.2", "messages": call.messages, **call.tools(CHAT_TOOL)}
    replies = await now(client.chat(**asked, stream=call.streams))
    said = Said()
    async for reply in call.each(replies if call.streams else [replies]):
        said.text += reply.message.content or ""
        for asked_for in reply.message.tool_calls or []:
            said.add_call(asked_for.function.name, asked_for.function.arguments)
    return said


def _bedrock(call: Call) -> Any:
    config = load("botocore.config").Config(proxies={})
    client = load("boto3").client(
        "bedrock-runtime", region_name="eu-central-1", endpoint_url=call.url, config=config,
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    return call.closing(client)


async def bedrock_invoke(call: Call) -> Said:
    client = _bedrock(call)
    asked: dict[str, Any] = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500}
    asked |= {"messages": call.messages, **call.tools(ANTHROPIC_TOOL)}
    what = {"modelId": BEDROCK_MODEL, "body": json.dumps(asked)}
    if not call.streams:
        return _said_by_blocks(json.loads(client.invoke_model(**what)["body"].read())["content"])
    blocks: list[dict[str, Any]] = []
    arguments = ""
    for frame in client.invoke_model_with_response_stream(**what)["body"]:
        event = json.loads(frame["chunk"]["bytes"])
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            blocks[-1]["text"] = blocks[-1].get("text", "") + event["delta"].get("text", "")
            arguments += event["delta"].get("partial_json", "")
    if arguments:
        blocks[-1]["input"] = json.loads(arguments)
    return _said_by_blocks(blocks)


async def bedrock_converse(call: Call) -> Said:
    client = _bedrock(call)
    messages = [{"role": "user", "content": [{"text": call.prompt}]}]
    asked: dict[str, Any] = {"modelId": BEDROCK_MODEL, "messages": messages}
    if call.asks_weather:
        tool = {"name": "get_weather", "inputSchema": {"json": SCHEMA}}
        asked["toolConfig"] = {"tools": [{"toolSpec": tool}]}
    said = Said()
    if not call.streams:
        for block in client.converse(**asked)["output"]["message"]["content"]:
            said.text += block.get("text", "")
            if "toolUse" in block:
                said.add_call(block["toolUse"]["name"], block["toolUse"]["input"])
        return said
    name = arguments = ""
    for event in client.converse_stream(**asked)["stream"]:
        if "contentBlockStart" in event:
            name = event["contentBlockStart"]["start"]["toolUse"]["name"]
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        said.text += delta.get("text", "")
        arguments += delta.get("toolUse", {}).get("input", "")
    if name:
        said.add_call(name, arguments)
    return said


async def requests_chat(call: Call) -> Said:
    session = load("requests").Session()
    session.trust_env = False
    asked = {"model": "gpt-4o", "messages": call.messages, **call.tools(CHAT_TOOL)}
    url = f"{call.url}/v1/chat/completions"
    said = Said()
    if not call.streams:
        message = session.post(url, json=asked).json()["choices"][0]["message"]
        said.text = message["content"] or ""
        for asked_for in message.get("tool_calls") or []:
            said.add_call(asked_for["function"]["name"], asked_for["function"]["arguments"])
        return said
    asked |= {"stream": True, "stream_options": {"include_usage": True}}
    name = arguments = ""
    with session.post(url, json=asked, stream=True) as response:
        for line in response.iter_lines():
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line.removeprefix(b"data: "))["choices"]:
                said.text += choice["delta"].get("content") or ""
                for asked_for in choice["delta"].get("tool_calls") or []:
                    name = asked_for["function"].get("name") or name
                    arguments += asked_for["function"]["arguments"]
    if name:
        said.add_call(name, arguments)
    return said


BEDROCK_MODEL = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
BOTH = ("newest", "frameworks")
NEWEST = ("newest",)
NO_ASYNC = {"async": "it has no async client"}
EMBEDDED = "an embedding is a vector: no stream, no text, no tools"

ROWS = [
    Row("OpenAI, chat completions", "openai", "openai", BOTH, "gpt-4o", openai_chat),
    Row(
        "OpenAI, chat completions without `include_usage`", "openai", "openai", BOTH,
        "house-model", openai_chat_without_usage, stream_usage="counted",
    ),
    Row("OpenAI, Responses", "openai", "openai", BOTH, "gpt-4o", openai_responses),
    Row(
        "OpenAI, embeddings", "openai", "openai", BOTH, "text-embedding-3-small",
        openai_embeddings, has_text=False,
        without={"stream": EMBEDDED, "tools": EMBEDDED, "TTFT": EMBEDDED},
    ),
    Row("Azure OpenAI, chat completions", "openai", "openai", BOTH, "gpt-4o", azure_chat),
    Row("Anthropic, messages", "anthropic", "anthropic", NEWEST, "claude-sonnet-4-6",
        anthropic_messages),
    Row("Anthropic, AnthropicBedrock", "anthropic", "anthropic", NEWEST, BEDROCK_MODEL,
        anthropic_bedrock),
    Row("Google Gen AI", "google-genai", "google.genai", NEWEST, "gemini-2.5-flash", google_genai),
    Row(
        "Google Gen AI, given an httpx2 client", "google-genai", "google.genai", NEWEST,
        "gemini-2.5-flash", google_genai_httpx,
    ),
    Row("Mistral", "mistralai", "mistralai.client", NEWEST, "mistral-large-latest", mistral_chat),
    Row("Cohere, chat v2", "cohere", "cohere", NEWEST, "command-a-03-2025", cohere_chat),
    Row("Groq", "groq", "groq", NEWEST, "llama-3.3-70b-versatile", groq_chat),
    Row("Together", "together", "together", NEWEST, "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        together_chat),
    Row("Hugging Face, InferenceClient", "huggingface_hub", "huggingface_hub", NEWEST,
        "meta-llama/Llama-3.3-70B-Instruct", hugging_face_chat),
    Row("Ollama", "ollama", "ollama", NEWEST, "llama3.2", ollama_chat),
    Row("Amazon Bedrock, Converse", "boto3", "boto3", NEWEST, BEDROCK_MODEL, bedrock_converse,
        without=NO_ASYNC),
    Row("Amazon Bedrock, InvokeModel with Claude", "boto3", "boto3", NEWEST, BEDROCK_MODEL,
        bedrock_invoke, without=NO_ASYNC),
    Row("requests, chat completions", "requests", "requests", NEWEST, "gpt-4o", requests_chat,
        without=NO_ASYNC),
]  # fmt: skip
