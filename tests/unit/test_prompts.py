from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import ContentBlock, TextBlock, ToolUseBlock, Usage
from anthropic.types import Message as AnthropicMessage
from google.genai import types as gemini
from openai.types.chat import ChatCompletionMessage
from openai.types.responses import ResponseFunctionToolCall

from senytl.prompts import Message, Prompt, read_prompt

CHAT = [
    pytest.param(
        {"messages": "Your prompt here"}, [Message("user", "Your prompt here")], id="bare text"
    ),
    pytest.param(
        {
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "Hi", "name": "ada"},
                {"role": "assistant", "content": "Hello!"},
            ]
        },
        [
            Message("system", "Be brief."),
            Message("user", "Hi", "ada"),
            Message("assistant", "Hello!"),
        ],
        id="texts",
    ),
    pytest.param(
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                        {"type": "text", "text": "And that?"},
                    ],
                },
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]},
                {"role": "assistant", "content": None, "refusal": "No."},
            ]
        },
        [
            Message("user", "What is this?\nAnd that?"),
            Message("assistant", "I can't."),
            Message("assistant", "No."),
        ],
        id="parts",
    ),
    pytest.param(
        {
            "messages": [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                        },
                        {
                            "id": "call_2",
                            "type": "custom",
                            "custom": {"name": "sql", "input": "SELECT 1"},
                        },
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
                {"role": "assistant", "function_call": {"name": "old", "arguments": "{}"}},
                {"role": "function", "name": "old", "content": "done"},
            ]
        },
        [
            Message("assistant", 'weather {"city":"Oslo"}\nsql SELECT 1'),
            Message("tool", "rain"),
            Message("assistant", "old {}"),
            Message("tool", "done", "old"),
        ],
        id="tool calls",
    ),
]

RESPONSES = [
    pytest.param(
        {"instructions": "Be brief.", "input": "Hi"},
        [Message("system", "Be brief."), Message("user", "Hi")],
        id="text",
    ),
    pytest.param(
        {
            "input": [
                {"role": "user", "content": "Oslo?"},
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "I need the weather."}],
                },
                {
                    "type": "function_call",
                    "call_id": "c1",
                    "name": "weather",
                    "arguments": '{"city":"Oslo"}',
                },
                {"type": "function_call_output", "call_id": "c1", "output": "rain"},
                {
                    "type": "function_call_output",
                    "call_id": "c2",
                    "output": [
                        {"type": "input_text", "text": "wind"},
                        {"type": "input_image", "image_url": "https://example.com"},
                    ],
                },
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "It rains.", "annotations": []}],
                },
                {"type": "item_reference", "id": "msg_1"},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Thanks"},
                        {"type": "input_file", "file_id": "file_1"},
                    ],
                },
            ]
        },
        [
            Message("user", "Oslo?"),
            Message("assistant", "I need the weather."),
            Message("assistant", 'weather {"city":"Oslo"}'),
            Message("tool", "rain"),
            Message("tool", "wind"),
            Message("assistant", "It rains."),
            Message("user", "Thanks"),
        ],
        id="items",
    ),
    pytest.param(
        {"input": ["one", "two"]}, [Message("user", "one"), Message("user", "two")], id="texts"
    ),
]

ANTHROPIC = [
    pytest.param(
        {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]},
        [Message("system", "Be brief."), Message("user", "Hi")],
        id="texts",
    ),
    pytest.param(
        {
            "system": [
                {"type": "text", "text": "Be brief."},
                {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}},
            ],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
                        {
                            "type": "document",
                            "title": "Notes",
                            "source": {"type": "text", "data": "Rain in Oslo."},
                        },
                        {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
                        {"type": "text", "text": "Oslo?"},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "Look it up.", "signature": "s"},
                        {"type": "redacted_thinking", "data": "AAAA"},
                        {
                            "type": "tool_use",
                            "id": "t1",
                            "name": "weather",
                            "input": {"city": "Oslo"},
                        },
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t1", "content": "rain"},
                        {
                            "type": "tool_result",
                            "tool_use_id": "t2",
                            "content": [{"type": "text", "text": "wind"}],
                        },
                        {"type": "text", "text": "Go on."},
                    ],
                },
            ],
        },
        [
            Message("system", "Be brief.\nBe kind."),
            Message("user", "Notes\nRain in Oslo.\nOslo?"),
            Message("assistant", 'Look it up.\nweather {"city":"Oslo"}'),
            Message("tool", "rain"),
            Message("tool", "wind"),
            Message("user", "Go on."),
        ],
        id="blocks",
    ),
]

GEMINI = [
    pytest.param({"contents": "Hi"}, [Message("user", "Hi")], id="text"),
    pytest.param(
        {"contents": ["Hi", "there"]}, [Message("user", "Hi"), Message("user", "there")], id="texts"
    ),
    pytest.param(
        {"contents": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": "AA"}}]},
        [Message("user", "Hi")],
        id="bare parts",
    ),
    pytest.param(
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Oslo?"}]},
                {"role": "model", "parts": [
                    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]},
                {"role": "user", "parts": [
                    {"functionResponse": {"name": "weather", "response": {"sky": "rain"}}}]},
                {"role": "model", "parts": [
                    {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}]},
            ],
        },
        [
            Message("system", "Be brief."),
            Message("user", "Oslo?"),
            Message("assistant", 'weather {"city":"Oslo"}'),
            Message("tool", '{"sky":"rain"}', "weather"),
            Message("assistant", "print(1)\n1"),
        ],
        id="wire format",
    ),
    pytest.param(
        {
            "config": {"system_instruction": "Be brief."},
            "contents": {"role": "user", "parts": [
                {"text": "Oslo?"},
                {"function_call": {"name": "weather", "args": {"city": "Oslo"}}}]},
        },
        [Message("system", "Be brief."), Message("user", 'Oslo?\nweather {"city":"Oslo"}')],
        id="arguments of the SDK",
    ),
]  # fmt: skip

LEGACY = [
    pytest.param({"prompt": "Once upon"}, [Message("user", "Once upon")], id="text"),
    pytest.param({"prompt": ["a", "b"]}, [Message("user", "a"), Message("user", "b")], id="texts"),
    pytest.param({"prompt": [1, 2, 3]}, [], id="token numbers"),
]


@pytest.mark.parametrize(
    ("request_body", "messages"), [*CHAT, *RESPONSES, *ANTHROPIC, *GEMINI, *LEGACY]
)
def test_reads_every_wire_format(request_body: dict[str, Any], messages: list[Message]) -> None:
    assert list(read_prompt(request_body).messages) == messages


def test_reads_the_typed_objects_of_openai() -> None:
    reply = ChatCompletionMessage.model_validate(
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        }
    )
    call = ResponseFunctionToolCall(type="function_call", call_id="c", name="f", arguments="{}")

    assert read_prompt({"messages": [reply]}).text == "One moment.\nf {}"
    assert read_prompt({"input": [call]}).messages == (Message("assistant", "f {}"),)


def test_reads_the_typed_objects_of_anthropic() -> None:
    blocks: list[ContentBlock] = [
        TextBlock(type="text", text="One moment."),
        ToolUseBlock(type="tool_use", id="t", name="f", input={"x": 1}),
    ]
    usage = Usage(input_tokens=1, output_tokens=1)
    reply = AnthropicMessage(
        id="m", type="message", role="assistant", model="claude", content=blocks, usage=usage
    )
    expected = (Message("assistant", 'One moment.\nf {"x":1}'),)

    assert read_prompt({"messages": [{"role": "assistant", "content": blocks}]}).messages == (
        expected
    )
    assert read_prompt({"messages": [reply]}).messages == expected


def test_reads_the_typed_objects_of_google_genai() -> None:
    config = gemini.GenerateContentConfig(
        system_instruction="Be brief.",
        tools=[
            gemini.Tool(
                function_declarations=[gemini.FunctionDeclaration(name="weather", description="d")]
            )
        ],
    )
    contents = [
        gemini.Content(role="user", parts=[gemini.Part.from_text(text="Oslo?")]),
        gemini.Content(
            role="model", parts=[gemini.Part.from_function_call(name="weather", args={"x": 1})]
        ),
    ]

    prompt = read_prompt({"model": "gemini-2.5-pro", "contents": contents, "config": config})

    assert prompt.messages == (
        Message("system", "Be brief."),
        Message("user", "Oslo?"),
        Message("assistant", 'weather {"x":1}'),
    )
    assert json.loads(prompt.tools) == [
        {"function_declarations": [{"name": "weather", "description": "d"}]}
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        {"functions": [{"name": "f", "parameters": {}}]},
    ],
)
def test_tools_are_their_definitions_as_compact_json(body: dict[str, Any]) -> None:
    (definitions,) = body.values()

    assert json.loads(read_prompt(body).tools) == definitions
    assert " " not in read_prompt(body).tools


def test_functions_as_tools_are_named_and_described() -> None:
    def weather(city: str) -> str:
        """The weather in a city."""
        return city

    assert json.loads(read_prompt({"config": {"tools": [weather]}}).tools) == [
        {"name": "weather", "description": "The weather in a city."}
    ]


def test_last_user_is_the_latest_text_of_a_user() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": "second"},
        {"role": "assistant", "content": "reply"},
        {"role": "user", "content": [{"type": "tool_result", "content": "rain"}]},
    ]

    assert read_prompt({"messages": messages}).last_user == "second"
    assert read_prompt({"messages": [{"role": "system", "content": "s"}]}).last_user == ""


class _Broken:
    def model_dump(self) -> object:
        raise RuntimeError("broken")


_ENDLESS: list[Any] = []
_ENDLESS.append({"type": "document", "source": {"content": _ENDLESS}})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": 7},
        {"messages": [None, 7, {}, {"role": 3, "content": {"x": 1}}, {"content": [None, 7, [7]]}]},
        {"messages": [{"role": "assistant", "tool_calls": [None, "x", {"function": 7}]}]},
        {"messages": [_Broken()]},
        {"messages": [{"role": "user", "content": _ENDLESS}]},
        {"input": [{"type": 7}, {"type": "reasoning", "summary": 7}, {"type": "x_call"}]},
        {"input": {"type": "function_call_output"}},
        {"contents": [7, {"parts": 7}, {"parts": [7, None]}], "systemInstruction": 7},
        {"prompt": {"x": 1}, "system": [7], "tools": 7, "config": "x"},
    ],
)
def test_odd_shapes_give_no_text_and_no_error(body: dict[str, Any]) -> None:
    assert read_prompt(body).text.strip() == ""


def test_a_body_that_is_no_mapping_has_no_prompt() -> None:
    assert read_prompt(["not", "a", "body"]) == Prompt()  # type: ignore[arg-type]


def test_tools_that_hold_themselves_are_left_out() -> None:
    tools: list[Any] = []
    tools.append(tools)

    assert read_prompt({"tools": tools}).tools == ""
