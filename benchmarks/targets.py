"""The targets of a benchmark: each is printed beside its figure, and misses are counted."""

from __future__ import annotations

__all__ = ["Targets"]


class Targets:
    """Prints figures beside their targets, and remembers whether one was missed."""

    def __init__(self) -> None:
        self.missed = 0

    def show(
        self,
        what: str,
        value: float,
        *,
        most: float | None = None,
        least: float | None = None,
        unit: str = "",
    ) -> None:
        """Print a figure, with its target if there is one.

        Args:
            what: What the figure is.
            value: The figure.
            most: What it may be at the most.
            least: What it must be at the least.
            unit: What it is counted in.
        """
        missed = (most is not None and not value <= most) or (
            least is not None and not value >= least
        )
        self.missed += missed
        target = ""
        if most is not None:
            target = f"(target: at most {most:g})"
        elif least is not None:
            target = f"(target: at least {least:g})"
        line = f"{what:58} {value:9.3f} {unit:4} {target}{' MISSED' * missed}"
        print(line.rstrip(), flush=True)

    def note(self, what: str, *, held: bool) -> None:
        """Print what was demanded, and whether it holds."""
        self.missed += not held
        print(f"{what}{'' if held else ' MISSED'}", flush=True)

    def exit_code(self) -> int:
        """1 if a target was missed; also says how many were."""
        print(f"\n{self.missed} missed" if self.missed else "\nall targets met")
        return int(self.missed > 0)
