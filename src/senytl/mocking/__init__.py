"""Mocked models: rules that answer LLM calls in the provider's place.

A rule says for which model and which prompt it holds, and what the model replies, how fast, or
how it fails::

    rules = MockRules()
    rules.mock("gpt-4*").when(contains="hello").fail(429, times=2).respond("Hello!", ttft=0.2)

`senytl.Senytl` puts such rules in force; they are stated through its ``mock``.
"""

from __future__ import annotations

from senytl.mocking.errors import MockError, MockExhaustedError, UnmockedCallError
from senytl.mocking.model import ModelMock
from senytl.mocking.rules import MockRules

__all__ = ["MockError", "MockExhaustedError", "MockRules", "ModelMock", "UnmockedCallError"]
