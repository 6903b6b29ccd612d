from __future__ import annotations

import math

import pytest

from senytl.capture.playback import Playback
from senytl.server.playing import scaled

PLAYBACK = Playback(pieces=[b"a", b"b"], moments=[1.0, 3.0], head_at=0.5, ends_at=4.0)


@pytest.mark.parametrize(
    ("speed", "moments", "head_at", "ends_at"),
    [
        (2, [0.5, 1.5], 0.25, 2.0),
        (0.5, [2.0, 6.0], 1.0, 8.0),
        (math.inf, [0.0, 0.0], 0.0, 0.0),
    ],
)
def test_speed_divides_every_time(
    speed: float, moments: list[float], head_at: float, ends_at: float
) -> None:
    faster = scaled(PLAYBACK, speed)
    assert list(faster.moments) == moments
    assert (faster.head_at, faster.ends_at) == (head_at, ends_at)
    assert faster.pieces == PLAYBACK.pieces


def test_at_its_own_speed_an_answer_stays_what_it_is() -> None:
    assert scaled(PLAYBACK, 1.0) is PLAYBACK
