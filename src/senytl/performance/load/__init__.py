"""Load testing: the plan, which is pure arithmetic, and the engines that run it.

Threads run the users of a sync function, tasks on the caller's loop those of an async one.
"""

from __future__ import annotations

from senytl.performance.load.decorator import load_test
from senytl.performance.load.plan import LoadPlan

__all__ = ["LoadPlan", "load_test"]
