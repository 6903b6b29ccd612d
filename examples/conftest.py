"""The agents under test, on the real OpenAI SDK; the model behind it is mocked."""

from __future__ import annotations

import pytest
from mocked_model import mock_model
from openai import AsyncOpenAI, OpenAI
from support_agent import AsyncSupportAgent, StreamingSupportAgent, SupportAgent

from senytl import Senytl


@pytest.fixture(scope="session")
def senytl():
    """Answer the model's calls in this process; one that no mock answers is an error."""
    with Senytl(fallback="error") as senytl:
        mock_model(senytl)
        yield senytl


@pytest.fixture(scope="session")
def agent(senytl):
    return senytl.wrap(SupportAgent(OpenAI(api_key="not used: the model is mocked")))


@pytest.fixture
def streaming_agent(senytl):
    return senytl.wrap(StreamingSupportAgent(OpenAI(api_key="not used: the model is mocked")))


@pytest.fixture
def async_agent(senytl):
    return senytl.wrap(AsyncSupportAgent(AsyncOpenAI(api_key="not used: the model is mocked")))
