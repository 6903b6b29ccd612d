"""Keep secrets out of what is stored and printed.

Providers repeat keys in their error messages ("Incorrect API key provided: sk-..."), so every
text that comes from an exception or an error body passes through `redact` before it is kept.
"""

from __future__ import annotations

import re

__all__ = ["redact"]

_SECRETS = re.compile(
    r"""
    \b(?:sk|pk|rk|gsk|xai|pplx|hf|r8|nvapi|key)[-_][A-Za-z0-9_*\-]{8,}   # vendors' key prefixes
    | \bAIza[A-Za-z0-9_\-]{10,}                                         # Google
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,}                                      # AWS
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)?    # JSON web tokens
    | (?<=\bbearer\s)[^\s"',;]+
    | (?<=\bbasic\s)[A-Za-z0-9+/=]{8,}
    | (?<=[?&]key=)[^\s&"']+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = re.compile(
    r"""
    (
        (?:api[-_]?key|access[-_]token|auth[-_]token|client[-_]secret|password)
        (?:["']?\s*:\s*|["']?=)["']?              # as JSON, a dict, a header, a query, an argument
        | (?P<url>://[^\s/:@]*:(?=[^\s/@]+@))     # a URL with a user and a password
    )
    (?!\[secret\])
    (?(url)[^\s/@]+|[^\s&"',;)}\]]+)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def redact(text: str) -> str:
    """Replace whatever looks like a key or a token in `text` by ``[secret]``."""
    return _SECRETS.sub("[secret]", _NAMED.sub(r"\1[secret]", text))
