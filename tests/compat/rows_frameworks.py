"""The frameworks that call models through OpenAI's or Anthropic's SDK, or by themselves."""

from __future__ import annotations

from typing import Any

from tests.compat.row import CHAT_TOOL, Call, Row, Said, load, now
from tests.compat.rows_sdks import RESPONSES_TOOL, said_by_chunks, said_by_completion

__all__ = ["ROWS"]

CLAUDE = "claude-sonnet-4-6"


async def _litellm(call: Call, model: str, **where: Any) -> Said:
    litellm = load("litellm")
    complete = litellm.acompletion if call.is_async else litellm.completion
    asked = {"model": model, "messages": call.messages, "api_key": "test", **where}
    asked |= call.tools(CHAT_TOOL)
    if not call.streams:
        return said_by_completion(await now(complete(**asked)))
    options = {"include_usage": True}
    return await said_by_chunks(
        call, await now(complete(**asked, stream=True, stream_options=options))
    )


async def litellm_openai(call: Call) -> Said:
    return await _litellm(call, "openai/gpt-4o", api_base=f"{call.url}/v1")


async def litellm_anthropic(call: Call) -> Said:
    return await _litellm(call, f"anthropic/{CLAUDE}", api_base=call.url)


async def _langchain(model: Any, call: Call) -> Said:
    if call.asks_weather:
        model = model.bind_tools([CHAT_TOOL])
    if call.streams:
        message: Any = None
        async for chunk in call.each(
            (model.astream if call.is_async else model.stream)(call.prompt)
        ):
            message = chunk if message is None else message + chunk
    else:
        message = await now((model.ainvoke if call.is_async else model.invoke)(call.prompt))
    said = Said(message.text)
    for asked_for in message.tool_calls:
        said.add_call(asked_for["name"], asked_for["args"])
    return said


async def langchain_openai(call: Call) -> Said:
    make = load("langchain_openai").ChatOpenAI
    model = make(model="gpt-4o", base_url=f"{call.url}/v1", api_key="test", stream_usage=True)
    return await _langchain(model, call)


async def langchain_responses(call: Call) -> Said:
    make = load("langchain_openai").ChatOpenAI
    where = {"base_url": f"{call.url}/v1", "api_key": "test"}
    return await _langchain(make(model="gpt-4o", use_responses_api=True, **where), call)


async def langchain_anthropic(call: Call) -> Said:
    make = load("langchain_anthropic").ChatAnthropic
    model = make(model_name=CLAUDE, base_url=call.url, api_key="test", max_tokens=500)
    return await _langchain(model, call)


async def _pydantic_ai(model: Any, call: Call) -> Said:
    agent = load("pydantic_ai").Agent(model)
    said = Said()
    if call.asks_weather:

        @agent.tool_plain  # type: ignore[untyped-decorator]
        def get_weather(city: str) -> str:
            said.add_call("get_weather", {"city": city})
            return "sunny, 21 degrees"

    if not call.streams:
        result = await now((agent.run if call.is_async else agent.run_sync)(call.prompt))
        said.text = result.output
    elif call.is_async:
        async with agent.run_stream(call.prompt) as result:
            async for text in result.stream_text(delta=True):
                said.text += text
    else:
        for text in agent.run_stream_sync(call.prompt).stream_text(delta=True):
            said.text += text
    return said


async def pydantic_ai_chat(call: Call) -> Said:
    provider = load("pydantic_ai.providers.openai").OpenAIProvider
    make = load("pydantic_ai.models.openai").OpenAIChatModel
    where = provider(openai_client=_openai(call))
    return await _pydantic_ai(make("gpt-4o", provider=where), call)


async def pydantic_ai_responses(call: Call) -> Said:
    provider = load("pydantic_ai.providers.openai").OpenAIProvider
    make = load("pydantic_ai.models.openai").OpenAIResponsesModel
    where = provider(openai_client=_openai(call))
    return await _pydantic_ai(make("gpt-4o", provider=where), call)


async def pydantic_ai_anthropic(call: Call) -> Said:
    provider = load("pydantic_ai.providers.anthropic").AnthropicProvider
    client = load("anthropic").AsyncAnthropic(base_url=call.url, api_key="test")
    make = load("pydantic_ai.models.anthropic").AnthropicModel
    return await _pydantic_ai(make(CLAUDE, provider=provider(anthropic_client=client)), call)


def _openai(call: Call) -> Any:
    return load("openai").AsyncOpenAI(base_url=f"{call.url}/v1", api_key="test")


async def _openai_agents(model: Any, call: Call) -> Said:
    agents = load("agents")
    said = Said()

    def get_weather(city: str) -> str:
        """The weather in a city."""
        said.add_call("get_weather", {"city": city})
        return "sunny, 21 degrees"

    tools = [agents.function_tool(get_weather)] if call.asks_weather else []
    settings = agents.ModelSettings(include_usage=True)
    agent = agents.Agent(name="Agent", model=model, tools=tools, model_settings=settings)
    config = agents.RunConfig(tracing_disabled=True)
    if call.streams:
        result = agents.Runner.run_streamed(agent, call.prompt, run_config=config)
        async for _ in result.stream_events():
            pass
    elif call.is_async:
        result = await agents.Runner.run(agent, call.prompt, run_config=config)
    else:
        result = agents.Runner.run_sync(agent, call.prompt, run_config=config)
    said.text = result.final_output
    return said


async def openai_agents_responses(call: Call) -> Said:
    model = load("agents").OpenAIResponsesModel("gpt-4o", openai_client=_openai(call))
    return await _openai_agents(model, call)


async def openai_agents_chat(call: Call) -> Said:
    model = load("agents").OpenAIChatCompletionsModel("gpt-4o", openai_client=_openai(call))
    return await _openai_agents(model, call)


async def _llama_index(model: Any, call: Call, tool: dict[str, Any]) -> Said:
    message = load("llama_index.core.llms").ChatMessage(role="user", content=call.prompt)
    asked = {"messages": [message], **call.tools(tool)}
    reply: Any = None
    if call.streams:
        stream = model.astream_chat if call.is_async else model.stream_chat
        async for part in call.each(await now(stream(**asked))):
            reply = part
    else:
        reply = await now((model.achat if call.is_async else model.chat)(**asked))
    said = Said(reply.message.content or "")
    for asked_for in model.get_tool_calls_from_response(reply, error_on_no_tool_call=False):
        said.add_call(asked_for.tool_name, asked_for.tool_kwargs)
    return said


async def llama_index_chat(call: Call) -> Said:
    make = load("llama_index.llms.openai").OpenAI
    more = {"stream_options": {"include_usage": True}} if call.streams else {}
    where = {"api_base": f"{call.url}/v1", "api_key": "test"}
    return await _llama_index(
        make(model="gpt-4o", additional_kwargs=more, **where), call, CHAT_TOOL
    )


async def llama_index_responses(call: Call) -> Said:
    make = load("llama_index.llms.openai").OpenAIResponses
    model = make(model="gpt-4o", api_base=f"{call.url}/v1", api_key="test")
    return await _llama_index(model, call, RESPONSES_TOOL)


HERE = ("frameworks",)
NO_SYNC_STREAM = {"sync-stream": "it streams in async code only"}

ROWS = [
    Row("LiteLLM, OpenAI", "litellm", "litellm", HERE, "gpt-4o", litellm_openai),
    Row("LiteLLM, Anthropic", "litellm", "litellm", HERE, CLAUDE, litellm_anthropic),
    Row("LangChain, OpenAI chat completions", "langchain-openai", "langchain_openai", HERE,
        "gpt-4o", langchain_openai),
    Row("LangChain, OpenAI Responses", "langchain-openai", "langchain_openai", HERE, "gpt-4o",
        langchain_responses),
    Row("LangChain, Anthropic", "langchain-anthropic", "langchain_anthropic", HERE, CLAUDE,
        langchain_anthropic),
    Row("Pydantic AI, OpenAI chat completions", "pydantic-ai-slim", "pydantic_ai", HERE, "gpt-4o",
        pydantic_ai_chat),
    Row("Pydantic AI, OpenAI Responses", "pydantic-ai-slim", "pydantic_ai", HERE, "gpt-4o",
        pydantic_ai_responses),
    Row("Pydantic AI, Anthropic", "pydantic-ai-slim", "pydantic_ai", HERE, CLAUDE,
        pydantic_ai_anthropic),
    Row("OpenAI Agents, Responses", "openai-agents", "agents", HERE, "gpt-4o",
        openai_agents_responses, without=NO_SYNC_STREAM),
    Row("OpenAI Agents, chat completions", "openai-agents", "agents", HERE, "gpt-4o",
        openai_agents_chat, without=NO_SYNC_STREAM),
    Row("LlamaIndex, OpenAI chat completions", "llama-index-llms-openai", "llama_index.llms.openai",
        HERE, "gpt-4o", llama_index_chat),
    Row("LlamaIndex, OpenAI Responses", "llama-index-llms-openai", "llama_index.llms.openai", HERE,
        "gpt-4o", llama_index_responses),
]  # fmt: skip
