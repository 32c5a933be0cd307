"""Bells, by which those who wait learn that there are news."""

from __future__ import annotations

from rotaware.database.turns import Bell, ring


def test_a_bell_rings_once() -> None:
    """For those who wait, and for those who come later."""
    heard: list[str] = []
    bell = Bell()
    bell.hear(lambda: heard.append("early"))
    assert [] == heard
    ring([bell])
    bell.hear(lambda: heard.append("late"))

    assert ["early", "late"] == heard
