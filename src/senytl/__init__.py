"""senytl: performance and SLA testing of LLM agents, inside pytest.

The public names load on first use, so that the pytest plugin costs nothing in a session
that has no senytl test.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senytl import performance, snapshot
    from senytl.expectations import expect
    from senytl.session import Senytl

__version__ = "0.1.0"

__all__ = ["Senytl", "__version__", "expect", "performance", "snapshot"]

_HOMES = {
    "Senytl": ("senytl.session", "Senytl"),
    "expect": ("senytl.expectations", "expect"),
    "performance": ("senytl.performance", None),
    "snapshot": ("senytl.snapshot", None),
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    try:
        module_name, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    module = import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
