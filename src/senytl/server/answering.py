"""What the server answers to a call: what its session says, or what is wrong in its own words."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from senytl.capture.calls import Answerer, PendingCall
from senytl.capture.playback import Playback
from senytl.capture.scope import ask_guards
from senytl.mocking import MockRules, UnmockedCallError
from senytl.models import SenytlError
from senytl.prompts import read_prompt
from senytl.redaction import redact
from senytl.server.playing import scaled

if TYPE_CHECKING:
    from senytl.capture.recognition import Recognised

__all__ = ["Answering"]

_logger = logging.getLogger("senytl")

# Asking again changes nothing, and the SDKs that know this header then leave it.
_NO_RETRY = {"x-should-retry": "false"}


class Answering:
    """Answers calls; there is no real API behind it.

    Args:
        answerer: Who is asked.
        rules: The mocks that it asks; None where it has none.
        speed: How fast answers are played, 1 for as they are stated.
    """

    def __init__(
        self, answerer: Answerer, rules: MockRules | None = None, *, speed: float = 1.0
    ) -> None:
        self._answerer = answerer
        self._rules = rules
        self._speed = speed

    @property
    def models(self) -> list[str]:
        """The models that are mocked, as they were named, globs included."""
        return [] if self._rules is None else self._rules.models

    def answer(self, recognised: Recognised) -> Playback:
        """Answer a call; never raises, since an error is an answer as well.

        It runs functions that the user wrote, which may take their time.
        """
        call = recognised.call
        try:
            answer = ask_guards(call) or self._answerer.answer(call)
            if answer is not None:
                return scaled(answer.play(recognised), self._speed)
            return recognised.refuse(404, self._unanswered(call), _NO_RETRY)
        except UnmockedCallError:
            return recognised.refuse(404, self._unanswered(call), _NO_RETRY)
        except SenytlError as error:
            return recognised.refuse(400, redact(str(error)), _NO_RETRY)
        except Exception as error:
            _logger.exception("the answer to a call of %r failed", call.model)
            problem = redact(f"{type(error).__name__}: {error}")
            message = f"the answer that is stated for this call of {call.model!r} raised {problem}"
            return recognised.refuse(500, message, _NO_RETRY)

    def _unanswered(self, call: PendingCall) -> str:
        prompt = read_prompt(call.request)
        start = UnmockedCallError(call.model, prompt.last_user or prompt.text, ()).prompt
        stated = [] if self._rules is None else self._rules.describe()
        listed = "".join(f"\n  {mock}" for mock in stated) or " none"
        return (
            f"nothing on this server of senytl answers this call of {call.model!r}, whose prompt "
            f"begins {start!r}. Mocks stated:{listed}\n"
            f"State one: .mock({call.model!r}).when(contains=...).respond(...)."
        )
