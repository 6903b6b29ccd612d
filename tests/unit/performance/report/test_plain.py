from __future__ import annotations

import pytest

from senytl.performance.report.plain import one_line


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain 日本 é ✓", "plain 日本 é ✓"),
        ("a\nb\r\n\tc\u2028d", "a b c d"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp", r"\u202egnp"),
        ("\udc80", r"\udc80"),
    ],
)
def test_text_stays_on_one_line_and_commands_nothing(text: str, safe: str) -> None:
    assert one_line(text) == safe


def test_ascii_keeps_what_it_can() -> None:
    assert one_line("12.3 µs… “é” 日", ascii_only=True) == r'12.3 us... "\xe9" \u65e5'
