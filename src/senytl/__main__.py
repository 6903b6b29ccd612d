"""``python -m senytl``, the same as the command ``senytl``."""

from __future__ import annotations

from senytl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
