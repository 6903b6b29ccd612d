"""All workloads by name: importing this registers them."""

from __future__ import annotations

import workloads_leaking  # noqa: F401
import workloads_leaking_deep  # noqa: F401
import workloads_mocked  # noqa: F401
import workloads_passing  # noqa: F401
import workloads_stable  # noqa: F401
from corpus import WORKLOADS

__all__ = ["WORKLOADS"]
