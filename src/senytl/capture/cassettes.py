"""Whether vcrpy stands between this process and the network.

It reads a reply whole before it passes it on, while recording as well as in playback, so that the
times of the reply mean nothing.
"""

from __future__ import annotations

__all__ = ["is_cassette_active"]


def is_cassette_active() -> bool:
    """Whether a cassette of vcrpy is in use now; to be asked only where `vcr` is imported."""
    from http.client import HTTPConnection

    # Whatever libraries it patches beside it, vcrpy puts a class of its own in this place, and the
    # cassette on that.
    return getattr(HTTPConnection, "cassette", None) is not None
