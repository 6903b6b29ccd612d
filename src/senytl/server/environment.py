"""The environment variables by which SDKs find a server."""

from __future__ import annotations

import shlex

__all__ = ["assignments", "environment"]

_PATHS = {
    "OPENAI_BASE_URL": "/v1",
    "ANTHROPIC_BASE_URL": "",
    "GOOGLE_GEMINI_BASE_URL": "",
}
# What SDKs refuse to start without. Google's takes this one where there is another, too.
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
_NO_KEY = "not-used"


def environment(url: str) -> dict[str, str]:
    """The variables that lead the SDKs of OpenAI, Anthropic and Google to a server.

    Keys that are none are among them, so that no real one is sent to it.

    Args:
        url: The server's address, without a slash at its end.
    """
    urls = {name: url + path for name, path in _PATHS.items()}
    return {**urls, **dict.fromkeys(_KEYS, _NO_KEY)}


def assignments(url: str, platform: str) -> list[str]:
    """The lines that set these variables in a shell.

    Args:
        url: The server's address.
        platform: As `sys.platform` names it; Windows has another shell than all others.
    """
    if platform == "win32":
        return [f"set {name}={value}" for name, value in environment(url).items()]
    return [f"export {name}={shlex.quote(value)}" for name, value in environment(url).items()]
