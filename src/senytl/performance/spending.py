"""What LLM calls may cost: a budget in dollars for a whole session, and a load's cost so far."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from senytl.models import SenytlError
from senytl.performance.metering import CallMeter
from senytl.performance.metric.units import write_beside, write_count, write_figure
from senytl.performance.shared_sums import SharedSums, Sums

if TYPE_CHECKING:
    from senytl.capture.calls import Answer, PendingCall
    from senytl.capture.scope import CaptureScope
    from senytl.models import ErrorKind

__all__ = [
    "BudgetError",
    "BudgetSpentError",
    "LiveCost",
    "SessionBudget",
    "UnpricedCallError",
    "current_budget",
]

_ROUNDING = 1e-9
"""The part of a budget by which a sum of many prices may be off: ten times $0.10 are $1.00."""


class BudgetError(SenytlError):
    """An LLM call was refused for the sake of the session's budget; it was not sent.

    It says nothing about the agent: it ends a benchmark or a load test that it leaves, and counts
    as no failed request.
    """

    error_kind: ErrorKind = "budget"


class BudgetSpentError(BudgetError):
    """An LLM call was refused, since the session's budget is spent.

    Args:
        reason: What was spent.
        model: The model that was to be called.
    """

    def __init__(self, reason: str, model: str) -> None:
        super().__init__(f"{reason}. This call of {model!r} was not sent")
        self._arguments = (reason, model)

    def __reduce__(self) -> tuple[type[BudgetSpentError], tuple[str, str]]:
        return BudgetSpentError, self._arguments


class UnpricedCallError(BudgetError):
    """An LLM call was refused, since an earlier one of the same model turned out to have no price.

    Args:
        model: The model that was to be called.
    """

    def __init__(self, model: str) -> None:
        super().__init__(
            f"there is no price for {model!r}, so the session's budget cannot be held: this call "
            f"was not sent. {_advice((model,))}"
        )
        self.model = model

    def __reduce__(self) -> tuple[type[UnpricedCallError], tuple[str]]:
        return UnpricedCallError, (self.model,)


class SessionBudget:
    """The dollars that all LLM calls of a session may cost, and the end of calls beyond that.

    Its life: `open` begins to price calls and to refuse them once the budget is spent, before
    mocks and replays are asked; `settle` waits for the prices of all calls that have ended;
    `close` ends it. Calls count by what they would cost, those of mocks and replays included. A
    call is refused where the calls that have ended have cost the budget, so that those under way
    at that moment may exceed it.

    A call without a price cannot be held against any budget: it breaks it, and further calls of its
    model are refused.

    Args:
        limit: Dollars, above 0.
        sums: Where all processes of the session write what they spend; this process's own unless
            given.
    """

    def __init__(self, limit: float, sums: SharedSums | None = None) -> None:
        self.limit = limit
        self.sums = sums or SharedSums()
        self.meter = CallMeter(self._note)
        self._lock = Lock()
        self._refused = 0
        self._is_spent = False
        self._scope: CaptureScope | None = None
        self._outer: SessionBudget | None = None

    def open(self) -> None:
        """Begin, as the budget of this process."""
        from senytl.capture import open_scope

        global _current
        self.meter.start()
        self._scope = open_scope(answerer=self, carry_context=None, asked_first=True)
        self._outer, _current = _current, self

    def close(self) -> None:
        """End. Closing twice does no harm."""
        global _current
        if self._scope is None:
            return
        self._scope.close()
        self._scope = None
        self.meter.stop()
        _current = self._outer

    def settle(self) -> None:
        """Wait until every call that has ended is priced; streams that are open are ended."""
        self.meter.end_streams()
        self.meter.settle()

    def share(self) -> SharedSums:
        """The sums in a file, in which other processes take part."""
        if self.sums.file is None:
            self.sums = SharedSums.in_file(self.sums)
            self._note()  # again, for what was written into the earlier ones meanwhile
            self.sums.write_refused(self._refused)
        return self.sums

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        if not self._is_spent:
            self._is_spent = self.sums.dollars() >= self.limit * (1 - _ROUNDING)
        return self._is_spent

    def spent_reason(self) -> str | None:
        """That the budget is spent, and by how many calls; None as long as it is not."""
        if not self.is_spent:
            return None
        sums = self.sums.read()
        calls = write_count(sums.calls, "LLM call")
        return f"the session's budget of {_dollars(self.limit)} is spent: {calls} cost " + (
            write_beside(sums.dollars, self.limit, "USD")
        )

    def answer(self, call: PendingCall) -> Answer | None:
        """Let a call pass, to whoever answers it, or refuse it.

        Raises:
            BudgetSpentError: If the budget is spent.
            UnpricedCallError: If its model has turned out to have no price.
        """
        __tracebackhide__ = True
        refusal: BudgetError
        if self.is_spent:
            refusal = BudgetSpentError(self.spent_reason() or "", call.model)
        elif call.model in self.meter.unpriced_models:
            refusal = UnpricedCallError(call.model)
        else:
            return None
        with self._lock:
            self._refused += 1
            self.sums.write_refused(self._refused)
        raise refusal

    def _note(self) -> None:
        meter = self.meter
        self.sums.write(meter.dollars, meter.calls, list(meter.unpriced_models))

    def broken(self) -> list[str]:
        """A clause for each way in which the session has broken its budget."""
        sums = self.sums.read()
        clauses = []
        if self.is_spent and (sums.refused or sums.dollars > self.limit * (1 + _ROUNDING)):
            refused = f"; {write_count(sums.refused, 'more call')} {_was(sums.refused)} refused"
            clauses.append((self.spent_reason() or "") + (refused if sums.refused else ""))
        if sums.unpriced_models:
            clauses.append(
                f"the session's budget of {_dollars(self.limit)} cannot be held: there is no price "
                f"for {', '.join(sums.unpriced_models)}{_refused_of(sums, self.is_spent)}. "
                f"{_advice(sums.unpriced_models)}"
            )
        return clauses

    def describe(self) -> str:
        """What was spent, of a budget that was kept; empty where there was no call."""
        sums = self.sums.read()
        if not sums.calls:
            return ""
        if self.is_spent:  # to the cent
            return self.spent_reason() or ""
        spent = write_figure(sums.dollars, "USD")
        calls = write_count(sums.calls, "LLM call")
        return f"{calls} cost {spent} of the session's budget of {_dollars(self.limit)}"


_current: SessionBudget | None = None


def current_budget() -> SessionBudget | None:
    """The budget of the session that runs in this process; None where it has none."""
    return _current


class LiveCost:
    """What the LLM calls of this process cost, while a load runs.

    Its life: `start` begins to count, or takes part in the counting of the session's budget where
    there is one; `begin` leaves out what came before (a warm-up); `stop` ends it. Prices come a
    moment after each call, from another thread.
    """

    def __init__(self) -> None:
        budget = current_budget()
        self._meter = CallMeter() if budget is None else budget.meter
        self._is_own = budget is None
        self._is_over = False
        self._before = (0, 0.0, 0)
        self._dollars: float | None = None

    def start(self) -> None:
        """Begin to count the calls that start from now on."""
        if self._is_own:
            self._meter.start()
        self.begin()

    def begin(self) -> None:
        """Leave out the calls that have been priced so far."""
        meter = self._meter
        self._before = meter.calls, meter.dollars, meter.unpriced_calls

    def stop(self) -> None:
        """Count no more; the figure stays. Stopping twice does no harm."""
        if self._is_own:
            self._meter.stop()
        self._dollars, self._is_over = self.dollars, True

    @property
    def dollars(self) -> float | None:
        """What the calls cost; None before the first one, and once one has no price."""
        if self._is_over:
            return self._dollars
        calls, dollars, unpriced = self._before
        meter = self._meter
        if meter.calls == calls or meter.unpriced_calls > unpriced:
            return None
        return meter.dollars - dollars


def _dollars(limit: float) -> str:
    """A budget as people write it: with two decimals, unless it has more."""
    cents = f"{limit:,.2f}"
    return f"${cents}" if float(cents.replace(",", "")) == limit else write_figure(limit, "USD")


def _advice(models: tuple[str, ...]) -> str:
    """What to do about models without a price."""
    return (
        "Add one to the ini option senytl_pricing, in dollars per million tokens, such as "
        f"'{models[0]}: prompt=5.0 completion=10.0'; a model that costs nothing has 0 for both"
    )


def _refused_of(sums: Sums, is_spent: bool) -> str:
    """The calls that were refused for want of a price, where that can be told."""
    if not sums.refused or is_spent:
        return ""
    return f", and {write_count(sums.refused, 'call')} {_was(sums.refused)} refused for it"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
