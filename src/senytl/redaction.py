"""Keep secrets out of what is stored and printed.

Providers repeat keys in their error messages ("Incorrect API key provided: sk-..."), so every
text that comes from an exception or an error body passes through `redact` before it is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["SECRET", "find_secrets", "names_a_secret", "redact"]

SECRET = "[secret]"
"""What stands in a secret's place."""

# What a kind of secret looks like, in lower case, and words without which none is there: looking
# for a word is much faster. Where a part is named "secret", only that part is one.
_VALUE = r"""(?![\[{])[^\s&"',;)}\]]+"""
_IS = r"""(?:["']?\s*:\s*|["']?=)["']?"""  # as in JSON, a dict, a header, a query, an argument
_KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    # Vendors' key prefixes; "key" is also a word's beginning.
    (("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "xai-", "pplx-", "hf_", "hf-", "r8_", "nvapi-"),
     r"\b(?:g?sk|pk|rk|xai|pplx|hf|r8|nvapi)[-_][a-z0-9_*\-]{8,}"),
    (("key-", "key_"), r"\bkey[-_](?=[a-z0-9_*\-]*[\d*])[a-z0-9_*\-]{8,}"),
    (("aiza",), r"\baiza[a-z0-9_\-]{10,}"),  # Google
    (("ya29.",), r"\bya29\.[a-z0-9_\-]{10,}"),  # Google's OAuth
    (("akia", "asia"), r"\b(?:akia|asia)[a-z0-9]{12,}"),  # AWS
    (("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_"),
     r"\b(?:gh[opsur]|github_pat)_[a-z0-9_]{10,}"),
    (("glpat-",), r"\bglpat-[a-z0-9_\-]{10,}"),
    (("xox",), r"\bxox[abeoprs]-[a-z0-9\-]{10,}"),  # Slack
    (("eyj",), r"\beyj[a-z0-9_\-]{8,}\.[a-z0-9_\-]+(?:\.[a-z0-9_\-]*)?"),  # JSON web tokens
    (("private key",),
     r"-----begin [a-z ]*private key-----.*?(?:-----end [a-z ]*private key-----|\Z)"),
    (("bearer",), r"""\bbearer\s(?P<secret>(?!\[secret\])[^\s"',;]+)"""),
    (("basic",), r"\bbasic\s(?P<secret>[a-z0-9+/=]{8,})"),
    (("key provided",), r"""key provided:\s(?P<secret>(?!\[secret\])[^\s"',;]+)"""),
    (("key=", "sig="), r"""[?&](?:key|sig)=(?P<secret>(?!\[secret\])[^\s&"']+)"""),
    # By name.
    (("api",), rf"api[-_]?key{_IS}(?P<secret>{_VALUE})"),
    (("access",), rf"access[-_]?(?:key|token){_IS}(?P<secret>{_VALUE})"),
    (("token",), rf"(?:auth|security|session|refresh)[-_]?token{_IS}(?P<secret>{_VALUE})"),
    (("secret",), rf"client[-_]secret{_IS}(?P<secret>{_VALUE})"),
    (("password",), rf"password{_IS}(?P<secret>{_VALUE})"),
    (("x-amz-",), rf"x-amz-(?:signature|credential){_IS}(?P<secret>{_VALUE})"),
    (("authorization",),
     r"""authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|digest|negotiate|apikey)\s+)?+"""
     rf"(?P<secret>{_VALUE})"),
    # Common words in texts about models: only what looks like a secret is taken for one.
    (("token", "secret"),
     rf"""(?:token|secret){_IS}(?![\[{{])"""
     r"""(?P<secret>(?=[^\s"']*\d)(?=[^\s"']*[a-z])[^\s&"',;)}\]]{8,})"""),
    (("cookie",),
     r"""\b(?:set-)?cookie["']?\s*[:=]\s*["']?(?P<secret>(?!\[)[^\s"';=,]+=[^\r\n"']+)"""),
    (("://",), r"://[^\s/:@]{0,256}:(?P<secret>(?!\[secret\])[^\s/@]{1,256})(?=@)"),
    # JSON, also inside a JSON string (and so on), where quotes have backslashes before them.
    (('"',),
     r"(?P<ending>passwd|password|secret|key|token|authorization|cookie|credentials?|passphrase"
     r"""|auth)"\s*:\s*"(?P<secret>(?:[^"\\]|\\.)+)"""),
    (('\\"',),
     r"(?P<ending>passwd|password|secret|key|token|authorization|cookie|credentials?|passphrase"
     r"""|auth)(?P<quote>\\+")\s*:\s*(?P=quote)(?P<secret>.+?)(?:(?<!\\)(?P=quote)|\Z)"""),
)  # fmt: skip
_PATTERNS = tuple((words, re.compile(pattern, re.DOTALL)) for words, pattern in _KINDS)

# AWS's secret keys have no mark of their own: forty letters of base64, where AWS is spoken of.
_FORTY = re.compile(
    r"(?<![\w/+=])(?=[\w/+]*[A-Z])(?=[\w/+]*[a-z])(?=[\w/+]*\d)[A-Za-z0-9/+]{40}(?![\w/+=])"
)

_NAME = re.compile(r"[\w\-. ]{0,64}\Z")
_SECRET_NAMES = re.compile(
    r"(?:.*(?:apikey|password|passwd|secret|secretkey|accesskey|privatekey|signingkey)"
    r"|.*(?<!page)(?<!continuation)(?<!next)(?<!sync)(?<!stop)(?<!eos)(?<!bos)(?<!pad)token"
    r"|(?:proxy)?authorization|(?:set)?cookie|credentials?|passphrase|auth)"
)


def names_a_secret(name: str) -> bool:
    """Whether a member, a variable or a parameter of this name holds a secret, by its name."""
    return _SECRET_NAMES.fullmatch(re.sub(r"[-_. ]", "", name).lower()) is not None


def redact(text: str) -> str:
    """Replace whatever looks like a key or a token in `text` by ``[secret]``."""
    pieces: list[str] = []
    position = 0
    for start, end in find_secrets(text):
        pieces += (text[position:start], SECRET)
        position = end
    return "".join((*pieces, text[position:])) if pieces else text


def find_secrets(text: str) -> list[tuple[int, int]]:
    """Where the secrets in a text begin and end, in order; none overlaps another."""
    found = sorted(span for span in _spans(text) if text[slice(*span)] != SECRET)
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _spans(text: str) -> Iterator[tuple[int, int]]:
    lower = text.lower()
    if len(lower) != len(text):  # letters that become two
        lower = "".join(letter.lower() if letter.isascii() else letter for letter in text)
    for words, pattern in _PATTERNS:
        if not any(word in lower for word in words):
            continue
        for match in pattern.finditer(lower):
            groups = match.groupdict()
            if "ending" in groups:
                before = _NAME.search(lower, max(0, match.start() - 64), match.start())
                if not names_a_secret((before[0] if before else "") + match["ending"]):
                    continue
            yield match.span("secret" if "secret" in groups else 0)
    if any(word in lower for word in ("akia", "asia", "aws", "secret")):
        for match in _FORTY.finditer(text):
            yield match.span()
