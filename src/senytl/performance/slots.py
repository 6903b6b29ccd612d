"""To which request an LLM call belongs that may end long after it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senytl.models import LLMCallRecord
    from senytl.performance.recording import Recorder
    from senytl.performance.request import Request

__all__ = ["Block", "BlockSlot", "Slot"]


class _Slot:
    """A sink for the calls that begin at one moment of a body.

    Args:
        owner: Whose calls they are.
        number: How many requests had ended when its body began.
    """

    __slots__ = ("number", "owner")

    def __init__(self, owner: object, number: int) -> None:
        self.owner = owner
        self.number = number

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Slot):
            return NotImplemented
        return self.owner is other.owner and self.number == other.number

    def __hash__(self) -> int:
        return hash((id(self.owner), self.number))


class Slot(_Slot):
    """The slot of a recorder.

    Args:
        owner: The recorder.
        place: How many requests its body had recorded when the call began.
    """

    __slots__ = ("_place",)

    owner: Recorder

    def __init__(self, owner: Recorder, place: int) -> None:
        super().__init__(owner, owner.ended)
        self._place = place

    def add_late(self, call: LLMCallRecord) -> None:
        """Take a call of the request that began when the slot was made, ended or not."""
        self.owner.add_late_call(self.number, self._place, call)

    def add_call(self, call: LLMCallRecord) -> None:
        """Take a call that has ended; after its body it goes to the request in which it began."""
        if self.owner.ended == self.number:
            self.owner.add_call(call)
        else:
            self.owner.add_late_call(self.number, self._place, call)


class BlockSlot(_Slot):
    """The slot of a measured block.

    Args:
        owner: The block.
        recorder: The recorder of the body that it is part of.
    """

    __slots__ = ("_recorder",)

    owner: Block

    def __init__(self, owner: Block, recorder: Recorder) -> None:
        super().__init__(owner, recorder.ended)
        self._recorder = recorder

    def add_call(self, call: LLMCallRecord) -> None:
        """Take a call that has ended; after its block it goes to the block's last request."""
        place = self.owner.place
        if place is None:
            self.owner.add_call(call)
        else:
            self._recorder.add_late_call(self.number, place, call)


class Block:
    """A part of a body with its own requests and calls; several tasks may each be in one.

    Args:
        recorder: The recorder of the body.
        around: The block that it is in.

    Attributes:
        place: The place of its last request among those of the body, once it has ended.
    """

    __slots__ = ("_recorder", "around", "calls", "place", "requests")

    def __init__(self, recorder: Recorder, around: Block | None) -> None:
        self._recorder = recorder
        self.around = around
        self.requests: list[Request] = []
        self.calls: list[LLMCallRecord] = []
        self.place: int | None = None

    def add_call(self, call: LLMCallRecord) -> None:
        """Take an LLM call that has ended; it belongs to the block's next request."""
        self.calls.append(call)

    def slot_of_new_call(self) -> BlockSlot:
        """Who gets a call that begins now."""
        return BlockSlot(self, self._recorder)
