"""Run all workloads: `python benchmarks/leaks`, or `python -m benchmarks.leaks`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from driver import main  # noqa: E402

sys.exit(main())
