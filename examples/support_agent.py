"""A small support agent: it asks a model, looks an order up if the model wants that, answers."""

from __future__ import annotations

import asyncio
import json
import time

from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-4o-mini"
INSTRUCTIONS = "You are the support desk of a bookshop. Look orders up before you speak of them."
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "lookup_order",
            "description": "The state of an order, by its number.",
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "string"}},
                "required": ["number"],
            },
        },
    }
]
ROUNDS = 5
DATABASE_SECONDS = 0.02


def order_state(number):
    return json.dumps({"number": number, "state": "in transit", "arrives": "Thursday"})


def first_messages(question):
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": question},
    ]


def tool_result(call, content):
    return {"role": "tool", "tool_call_id": call.id, "content": content}


class SupportAgent:
    """Answers a question of a customer; `run` may be called by many threads at once."""

    def __init__(self, client=None):
        self.client = client or OpenAI()

    def run(self, question):
        messages = first_messages(question)
        for _ in range(ROUNDS):
            reply = self.client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
            message = reply.choices[0].message
            if not message.tool_calls:
                return message.content
            messages.append(message)
            for call in message.tool_calls:
                number = json.loads(call.function.arguments)["number"]
                time.sleep(DATABASE_SECONDS)
                messages.append(tool_result(call, order_state(number)))
        raise RuntimeError(f"no answer after {ROUNDS} rounds")


class AsyncSupportAgent:
    """The same on asyncio."""

    def __init__(self, client=None):
        self.client = client or AsyncOpenAI()

    async def run(self, question):
        messages = first_messages(question)
        for _ in range(ROUNDS):
            reply = await self.client.chat.completions.create(
                model=MODEL, messages=messages, tools=TOOLS
            )
            message = reply.choices[0].message
            if not message.tool_calls:
                return message.content
            messages.append(message)
            for call in message.tool_calls:
                number = json.loads(call.function.arguments)["number"]
                await asyncio.sleep(DATABASE_SECONDS)
                messages.append(tool_result(call, order_state(number)))
        raise RuntimeError(f"no answer after {ROUNDS} rounds")


class StreamingSupportAgent:
    """Answers word by word, for questions that take no look at an order."""

    def __init__(self, client=None):
        self.client = client or OpenAI()

    def run(self, question):
        stream = self.client.chat.completions.create(
            model=MODEL,
            messages=first_messages(question),
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""
