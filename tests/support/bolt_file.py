"""Writes small BoltDB files, with what Dkron's own do not have: nested and inline buckets, deep trees."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PAGE = 4096
Inline = dict[bytes, bytes]
"""A bucket that lies in its parent's leaf."""
Bucket = Mapping[bytes, "bytes | Inline | Bucket"]


@dataclass
class BoltFile:
    """The pages after the two meta pages; `fan` is the most elements of a page."""

    fan: int = 4
    pages: list[bytes] = field(default_factory=list)

    def build(self, content: Mapping[bytes, object], *, free: int = 0) -> bytes:
        """A file that holds the buckets, with so many free pages."""
        root = self._tree(content)
        for _ in range(free):
            self._add(0, 0, b"junk")
        first_free = len(self.pages) + 2 - free
        numbers = range(first_free, first_free + free)
        listed = [free, *numbers] if free >= 0xFFFF else [*numbers]
        freelist = self._add(0x10, min(free, 0xFFFF), struct.pack(f"<{len(listed)}Q", *listed))
        high = len(self.pages) + 2
        return meta(0, 6, 0, 0, high) + meta(1, 7, root, freelist, high) + b"".join(self.pages)

    def _tree(self, content: Mapping[bytes, object]) -> int:
        elements = [(key, *self._value(value)) for key, value in sorted(content.items())]
        level: list[tuple[bytes, int]] = []
        for start in range(0, max(len(elements), 1), self.fan):
            part = elements[start : start + self.fan]
            level.append((part[0][0] if part else b"", self._add(0x02, len(part), leaf(part))))
        while len(level) > 1:
            groups = [level[start : start + self.fan] for start in range(0, len(level), self.fan)]
            level = [(group[0][0], self._add(0x01, len(group), branch(group))) for group in groups]
        return level[0][1]

    def _value(self, value: object) -> tuple[int, bytes]:
        if isinstance(value, bytes):
            return 0, value
        if isinstance(value, dict) and all(isinstance(inner, bytes) for inner in value.values()) and len(value) < 3:
            elements = [(key, 0, inner) for key, inner in sorted(value.items())]
            return 1, struct.pack("<QQ", 0, 0) + struct.pack("<QHHI", 0, 0x02, len(value), 0) + leaf(elements)
        assert isinstance(value, Mapping)
        return 1, struct.pack("<QQ", self._tree(value), 0)

    def _add(self, kind: int, count: int, body: bytes) -> int:
        number = len(self.pages) + 2
        more = (16 + len(body) - 1) // PAGE
        data = struct.pack("<QHHI", number, kind, count, more) + body
        data = data.ljust((1 + more) * PAGE, b"\0")
        self.pages += [data[start : start + PAGE] for start in range(0, len(data), PAGE)]
        return number


def meta(number: int, transaction: int, root: int, freelist: int, high: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, PAGE, 0, root, 0, freelist, high, transaction)
    total = 0xCBF29CE484222325
    for byte in body:
        total = (total ^ byte) * 0x100000001B3 % (1 << 64)
    return (struct.pack("<QHHI", number, 4, 0, 0) + body + struct.pack("<Q", total)).ljust(PAGE, b"\0")


def leaf(elements: Sequence[tuple[bytes, int, bytes]]) -> bytes:
    heads, tail, position = b"", b"", 16 * len(elements)
    for index, (key, flags, value) in enumerate(elements):
        heads += struct.pack("<IIII", flags, position - 16 * index, len(key), len(value))
        tail += key + value
        position += len(key) + len(value)
    return heads + tail


def branch(elements: Sequence[tuple[bytes, int]]) -> bytes:
    heads, tail, position = b"", b"", 16 * len(elements)
    for index, (key, page) in enumerate(elements):
        heads += struct.pack("<IIQ", position - 16 * index, len(key), page)
        tail += key
        position += len(key)
    return heads + tail
