"""A model server on 127.0.0.1, for agents that run in other processes.

It answers from the same mocks and recordings as a session in this process, in the wire format of
the request, at the same pace and with the same faults::

    with ModelServer() as server:
        server.mock("gpt-4o").respond("Hello!")
        subprocess.run(["python", "agent.py"], env={**os.environ, **server.env})
        assert server.calls[0].model == "gpt-4o"

It needs aiohttp, which senytl's extra ``serve`` brings, and which loads when a server starts.
"""

from __future__ import annotations

from senytl.server.model_server import ModelServer

__all__ = ["ModelServer"]
