"""What a 64-bit little-endian ELF program asks of the system that runs it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MACHINES = {62: "x86_64", 183: "aarch64"}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NEED = struct.Struct("<HHIII")
_VERSION = struct.Struct("<IHHII")
_DYNAMIC_ENTRY = struct.Struct("<qQ")
_DYNAMIC, _VERSION_NEEDS = 6, 0x6FFFFFFE
_LIBRARY_NEEDED = 1


class Needs(NamedTuple):
    """What a program needs.

    Attributes:
        machine: The processor.
        libraries: The shared libraries that the loader opens at start.
        versions: The symbol versions that they must have, such as ``GLIBC_2.17``.
    """

    machine: str
    libraries: set[str]
    versions: set[str]


def needs(program: Path) -> Needs:
    """Read a program's dynamic section and version needs."""
    data = program.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    header = _HEADER.unpack_from(data)
    offset, size, count = header[6], header[11], header[12]
    sections = [_SECTION.unpack_from(data, offset + size * i) for i in range(count)]
    libraries: set[str] = set()
    versions: set[str] = set()
    for _, kind, _, _, start, length, link, *_ in sections:
        strings = sections[link][4]
        if kind == _DYNAMIC:
            entries = _DYNAMIC_ENTRY.iter_unpack(data[start : start + length])
            wanted = [value for tag, value in entries if tag == _LIBRARY_NEEDED]
            libraries |= {_text(data, strings + value) for value in wanted}
        elif kind == _VERSION_NEEDS:
            versions |= set(_versions(data, start, strings))
    return Needs(MACHINES[header[2]], libraries, versions)


def _versions(data: bytes, need: int, strings: int) -> Iterator[str]:
    while True:
        _, _, _, first, after = _NEED.unpack_from(data, need)
        entry = need + first
        while True:
            *_, name, following = _VERSION.unpack_from(data, entry)
            yield _text(data, strings + name)
            if not following:
                break
            entry += following
        if not after:
            return
        need += after


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()
