"""The prompt in a request, whichever wire format it has.

A request is read by its shape: ``messages`` (OpenAI chat, Anthropic), ``input`` (OpenAI
Responses), ``contents`` (Gemini), ``prompt`` (legacy completions), with ``system``,
``instructions`` or ``systemInstruction`` beside them. Wherever a body has JSON objects, the
SDKs' own typed objects do as well. What gives no text, such as images, is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Message", "Prompt", "compact_json", "read_prompt"]

_ROLES = {"developer": "system", "function": "tool", "model": "assistant"}
"""Roles that the wire formats call otherwise."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt.

    Args:
        role: ``"system"``, ``"user"``, ``"assistant"`` or ``"tool"``; another where a request
            has one that no wire format knows.
        text: Its text; parts are joined by newlines, tool calls are ``name {arguments}``.
        name: The participant's name, where OpenAI's chat format gives one.
    """

    role: str
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request says to the model.

    Args:
        messages: The messages in order, the system's first.
        tools: The definitions of tools as compact JSON; empty where there are none.
    """

    messages: tuple[Message, ...] = ()
    tools: str = ""

    @property
    def text(self) -> str:
        """The text of all messages, joined by newlines."""
        return "\n".join(message.text for message in self.messages)

    @property
    def last_user(self) -> str:
        """The text of the latest message of a user; empty where there is none."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def read_prompt(request: Mapping[str, Any]) -> Prompt:
    """Read the prompt of a request's body; odd shapes are skipped, never an error."""
    body = _fields(request)
    config = _fields(body.get("config"))  # where google-genai's arguments have these two
    try:
        messages = (
            *_read_system(body),
            *_read_system(config),
            *_read_messages(body.get("messages")),
            *_read_messages(body.get("input")),
            *_read_contents(body.get("contents")),
            *(Message("user", text) for text in _strings(body.get("prompt"))),
        )
    except RecursionError:  # a list that holds itself
        messages = ()
    tools = [
        definitions
        for definitions in (body.get("tools"), body.get("functions"), config.get("tools"))
        if definitions
    ]
    return Prompt(messages, "\n".join(compact_json(definitions) for definitions in tools))


def compact_json(value: Any) -> str:
    """A value as JSON without spaces; text as it is, nothing for what cannot be written."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_jsonable)
    except (TypeError, ValueError, RecursionError):
        return ""


def _jsonable(value: Any) -> Any:
    if callable(value):  # google-genai takes functions as tools
        return {"name": getattr(value, "__name__", ""), "description": value.__doc__ or ""}
    return dict(_fields(value))


def _fields(value: Any) -> Mapping[str, Any]:
    """The fields of a JSON object or of an SDK's typed object; none of anything else."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        for options in ({"exclude_none": True, "warnings": False}, {}):
            try:
                dumped = dump(**options)
            except Exception:  # not pydantic's own: another signature, or a broken object
                continue
            return dumped if isinstance(dumped, Mapping) else {}
    return getattr(value, "__dict__", {})


def _items(value: Any) -> Sequence[Any]:
    """A list's items; a single thing is a list of one, nothing is an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _strings(value: Any) -> Iterator[str]:
    return (item for item in _items(value) if isinstance(item, str))


def _read_system(body: Mapping[str, Any]) -> Iterator[Message]:
    for key in ("system", "instructions", "systemInstruction", "system_instruction"):
        if text := _join(_part_text(part) for part in _parts(body.get(key))):
            yield Message("system", text)


def _read_messages(value: Any) -> Iterator[Message]:
    """OpenAI's and Anthropic's messages, and the items of OpenAI's Responses."""
    for item in _items(value):
        if isinstance(item, str):
            yield Message("user", item)
            continue
        message = _fields(item)
        kind = message.get("type")
        if "role" not in message and isinstance(kind, str) and kind != "message":
            yield from _read_item(kind, message)
        else:
            yield from _read_message(message)


def _read_message(message: Mapping[str, Any]) -> Iterator[Message]:
    role = _role(message)
    texts: list[str] = []
    for part in _parts(message.get("content")):
        result = _fields(part)
        if str(result.get("type", "")).endswith("tool_result"):
            # Anthropic sends results of tools inside a user's message.
            yield Message("tool", _join(_part_text(one) for one in _parts(result.get("content"))))
        else:
            texts.append(_part_text(part))
    texts += _strings(message.get("refusal"))
    texts += _strings(message.get("reasoning_content"))
    for call in (*_items(message.get("tool_calls")), message.get("function_call")):
        fields = _fields(call)
        texts.append(_call_text(_fields(fields.get("function") or fields.get("custom") or fields)))
    if text := _join(texts):
        yield Message(role, text, _name(message))


def _read_item(kind: str, item: Mapping[str, Any]) -> Iterator[Message]:
    """An item of the Responses format that is not a message."""
    if kind.endswith("call_output"):
        yield Message("tool", _output_text(item.get("output")))
    elif kind.endswith("call"):
        if text := _call_text(item):
            yield Message("assistant", text)
        if output := _output_text(item.get("output")):  # calls of MCP tools have both in one
            yield Message("tool", output)
    elif kind == "reasoning":
        parts = (*_items(item.get("summary")), *_items(item.get("content")))
        if text := _join(_part_text(part) for part in parts):
            yield Message("assistant", text)
    elif text := _part_text(item):  # a content part that stands alone
        yield Message("user", text)


def _read_contents(value: Any) -> Iterator[Message]:
    """Gemini's contents: contents with parts, or bare parts and strings of the user."""
    for item in _items(value):
        content = {} if isinstance(item, str) else _fields(item)
        role = _role(content)
        texts: list[str] = []
        for part in _items(content["parts"]) if content.get("parts") else (item,):
            fields = {} if isinstance(part, str) else _fields(part)
            result = _fields(fields.get("functionResponse") or fields.get("function_response"))
            if result:
                yield Message("tool", compact_json(result.get("response")), _name(result))
            else:
                texts.append(_part_text(part))
        if text := _join(texts):
            yield Message(role, text)


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    return _ROLES.get(role, role) if isinstance(role, str) else "user"


def _parts(content: Any) -> Sequence[Any]:
    fields = content if isinstance(content, str | list | tuple) else _fields(content)
    if isinstance(fields, Mapping) and fields.get("parts"):  # Gemini's system instruction
        return _items(fields["parts"])
    return _items(content)


def _part_text(part: Any) -> str:
    """The text in one part of a content, of any format."""
    if isinstance(part, str):
        return part
    fields = _fields(part)
    for key in ("text", "refusal", "thinking"):
        if isinstance(text := fields.get(key), str):
            return text
    if call := fields.get("functionCall") or fields.get("function_call"):
        return _call_text(_fields(call))
    if code := fields.get("executableCode") or fields.get("executable_code"):
        return _join(_strings(_fields(code).get("code")))
    if result := fields.get("codeExecutionResult") or fields.get("code_execution_result"):
        return _join(_strings(_fields(result).get("output")))
    if str(fields.get("type", "")).endswith("tool_use"):
        return _call_text(fields)
    if fields.get("type") == "document":
        return _document_text(fields)
    if fields.get("type") == "search_result":
        return _join(_part_text(one) for one in _items(fields.get("content")))
    return ""


def _document_text(document: Mapping[str, Any]) -> str:
    source = _fields(document.get("source"))
    texts = [*_strings(document.get("title")), *_strings(document.get("context"))]
    if source.get("type") == "text":
        texts += _strings(source.get("data"))
    texts += (_part_text(one) for one in _items(source.get("content")))
    return _join(texts)


def _call_text(call: Mapping[str, Any]) -> str:
    """A call of a tool: its name and its arguments, under the key that each format has."""
    arguments = next(
        (call[key] for key in ("arguments", "input", "args") if call.get(key) is not None), None
    )
    return _join((_name(call), "" if arguments is None else compact_json(arguments)), " ")


def _output_text(output: Any) -> str:
    if isinstance(output, str):
        return output
    return _join(_part_text(part) for part in _items(output))


def _name(fields: Mapping[str, Any]) -> str:
    name = fields.get("name")
    return name if isinstance(name, str) else ""


def _join(texts: Iterator[str] | Sequence[str], by: str = "\n") -> str:
    return by.join(text for text in texts if text)
