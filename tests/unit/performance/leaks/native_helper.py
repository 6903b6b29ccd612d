"""A helper module of an agent that forgets to free what it takes past Python."""

from __future__ import annotations

import ctypes

__all__ = ["libc", "look_up"]

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)


def look_up(size: int) -> int:
    """Take so many bytes, and fill them."""
    address: int = libc.malloc(size)  # leaks
    ctypes.memset(address, 1, size)
    return address
