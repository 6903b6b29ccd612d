"""Workloads that call a model through its SDK; senytl's mocks answer."""

from __future__ import annotations

from typing import Any

from corpus import Agent, leaking, stable

__all__: list[str] = []


class ModelAgent(Agent):
    """An agent on the OpenAI SDK."""

    def prepare(self) -> None:
        from openai import AsyncOpenAI, OpenAI

        from senytl import Senytl

        self.senytl = Senytl(fallback="error")
        self.senytl.install()
        self.senytl.mock("gpt-4o").respond("Order A-1001 is in transit: expect it Thursday.")
        self.client = OpenAI(api_key="not used")
        self.async_client = AsyncOpenAI(api_key="not used")
        self.talk: list[dict[str, str]] = []

    def question(self, request: int) -> Any:
        return {"role": "user", "content": f"Where is order {request}?"}

    def answer(self, request: int, user: int) -> None:
        messages = [self.question(request)]
        reply = self.client.chat.completions.create(model="gpt-4o", messages=messages)
        self.keep(reply.choices[0].message.content or "")

    async def answer_async(self, request: int, user: int) -> None:
        messages = [self.question(request)]
        reply = await self.async_client.chat.completions.create(model="gpt-4o", messages=messages)
        self.keep(reply.choices[0].message.content or "")

    def keep(self, reply: str) -> None:
        pass

    def close(self) -> None:
        self.senytl.uninstall()


@stable("mocked_model", alone=False)
class StatelessModel(ModelAgent):
    pass


@leaking("mocked_model_with_history", 550, alone=False)
class ModelWithHistory(ModelAgent):
    def keep(self, reply: str) -> None:
        self.talk.append({"role": "assistant", "content": reply * 5})  # leaks
