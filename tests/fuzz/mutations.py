"""Bytes that are nearly what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_MOST_CHANGES = 4


def mutated(random: Random, data: bytes, words: Sequence[bytes]) -> bytes:
    """The data after a few small accidents."""
    changed = bytearray(data)
    for _ in range(random.randint(1, _MOST_CHANGES)):
        place = random.randint(0, len(changed))
        length = random.choice((0, 1, 1, 2, random.randint(0, 40)))
        end = place + length
        match random.randrange(6):
            case 0:
                del changed[place:end]
            case 1:
                changed[place:end] = random.choice(words)
            case 2:
                changed[place:place] = random.randbytes(length)
            case 3:
                changed[place:place] = changed[place:end] * random.choice((1, 2, 50))
            case 4:
                changed[place:end] = random.choice(words) + random.choice(words)
            case _:
                changed[place : place + 1] = bytes([random.randrange(256)])
    return bytes(changed)
