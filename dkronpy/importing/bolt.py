"""BoltDB's file format, read only: the bytes of a file → its entries.

A file is an array of pages. Two meta pages, written by turns, name the root of a B+tree; the newest whole one holds.
Leaves hold keys with values, or with buckets: trees of their own, small ones inside the value. What a meta page reaches
is never written again while it holds, so a file whose writer died is read as of its last commit.

Source: the page layout of go.etcd.io/bbolt, version 2; numbers are little-endian, as on the machines Dkron runs on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[bytes, ...]
"""The names of the buckets from the outermost on, then the key."""

_MAGIC: Final = 0xED0CDAED
_VERSION: Final = 2
_BRANCH, _LEAF, _META_PAGE, _FREELIST = 0x01, 0x02, 0x04, 0x10
_TREE: Final = frozenset({_BRANCH, _LEAF})
_IS_BUCKET: Final = 0x01
"""Flag of a leaf's element whose value is a bucket."""
_PAGE_SIZES: Final = tuple(1 << power for power in range(9, 17))
_MANY: Final = 0xFFFF
"""Count of a freelist whose true length is its first number."""
_NO_FREELIST: Final = (1 << 64) - 1

_HEADER: Final = struct.Struct("<QHHI")  # page id, kind, count of elements, pages that follow as a part of this one
_META: Final = struct.Struct("<IIIIQQQQQQ")
_LEAF_ELEMENT: Final = struct.Struct("<IIII")  # flags, position from the element on, size of the key, of the value
_BRANCH_ELEMENT: Final = struct.Struct("<IIQ")  # position from the element on, size of the key, page id
_ROOT: Final = struct.Struct("<QQ")  # page id (0: the page follows in the value), sequence


class BoltError(ValueError):
    """The bytes are no BoltDB file, or a damaged one; the message tells where."""


class _Meta(NamedTuple):
    magic: int
    version: int
    page_size: int
    flags: int
    root: int
    sequence: int
    freelist: int
    pages: int
    """One more than the highest page in use."""
    transaction: int
    checksum: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A page, with those that follow as a part of it; `body` is what comes after the header."""

    name: str
    kind: int
    count: int
    body: memoryview
    bucket: Path = ()


def entries(data: bytes) -> Iterator[tuple[Path, bytes]]:
    """Every key with its value. Raises BoltError, at the latest where the damage is met."""
    return _File(data).entries()


class _File:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        meta = _newest_meta(data)
        self._page_size, self._pages, self._root = meta.page_size, meta.pages, meta.root
        if self._pages * self._page_size > len(data):
            raise BoltError(
                f"the file is cut short: it has {len(data)} bytes, but {self._pages} pages of {self._page_size} bytes"
            )
        self._taken: set[int] = set()
        """Pages met so far, and free ones: a page is in one place."""
        if meta.freelist != _NO_FREELIST:
            self._taken.update(_free(self._page(meta.freelist, frozenset({_FREELIST}))))

    def entries(self) -> Iterator[tuple[Path, bytes]]:
        waiting = [self._page(self._root, _TREE)]
        while waiting:
            node = waiting.pop()
            if node.kind == _BRANCH:
                waiting += [self._page(page, _TREE, node.bucket) for page in _children(node)]
                continue
            for flags, key, value in _leaves(node):
                if flags & _IS_BUCKET:
                    waiting.append(self._bucket(node, key, value))
                else:
                    yield (*node.bucket, key), bytes(value)

    def _page(self, page: int, kinds: frozenset[int], bucket: Path = ()) -> _Node:
        """A page of one of these kinds, which nothing else may be in."""
        if not 2 <= page < self._pages:
            raise BoltError(f"the file is damaged: it refers to page {page}, but has pages 2 … {self._pages - 1}")
        start = page * self._page_size
        number, kind, count, more = _HEADER.unpack_from(self._data, start)
        if number != page or kind not in kinds or page + more >= self._pages:
            raise BoltError(
                f"page {page} is damaged: its header tells of page {number}, kind {kind}, {more} more pages"
            )
        own = range(page, page + 1 + more)
        if not self._taken.isdisjoint(own):
            raise BoltError(f"page {page} is damaged: it is free, or in use in two places")
        self._taken.update(own)
        body = self._data[start + _HEADER.size : start + (1 + more) * self._page_size]
        return _Node(f"page {page}", kind, count, body, bucket)

    def _bucket(self, node: _Node, key: bytes, value: memoryview) -> _Node:
        """The root of a bucket that stands in a leaf."""
        bucket = (*node.bucket, key)
        name = f"bucket {key[:64]!r} in {node.name}"
        if len(value) < _ROOT.size:
            raise BoltError(f"{name} is damaged: its {len(value)} bytes are too few")
        page, _ = _ROOT.unpack_from(value)
        if page:
            return self._page(page, _TREE, bucket)
        inline = value[_ROOT.size :]
        if len(inline) < _HEADER.size:
            raise BoltError(f"{name} is damaged: its {len(value)} bytes are too few")
        _, kind, count, _ = _HEADER.unpack_from(inline)
        if kind != _LEAF:
            raise BoltError(f"{name} is damaged: its page is of kind {kind}")
        return _Node(name, kind, count, inline[_HEADER.size :], bucket)


def _newest_meta(data: bytes) -> _Meta:
    """The meta page of the last commit that was written whole."""
    candidates = [meta for start in (0, *_PAGE_SIZES) if (meta := _meta(data, start)) is not None]
    if not candidates:
        raise BoltError("this is no BoltDB file, or a damaged one: it has no whole meta page")
    return max(candidates, key=lambda meta: meta.transaction)


def _meta(data: bytes, start: int) -> _Meta | None:
    """The meta page at this offset; None where there is no whole one."""
    if start + _HEADER.size + _META.size > len(data):
        return None
    number, kind, _, _ = _HEADER.unpack_from(data, start)
    meta = _Meta(*_META.unpack_from(data, start + _HEADER.size))
    whole = (
        kind == _META_PAGE
        and (meta.magic, meta.version) == (_MAGIC, _VERSION)
        and meta.page_size in _PAGE_SIZES
        and start == number * meta.page_size
        and meta.checksum == _fnv1a(data[start + _HEADER.size : start + _HEADER.size + _META.size - 8])
    )
    return meta if whole else None


def _fnv1a(data: bytes) -> int:
    """FNV-1a of 64 bits."""
    total = 0xCBF29CE484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return total


def _free(node: _Node) -> list[int]:
    """The pages that a freelist names."""
    numbers = node.body[: len(node.body) // 8 * 8].cast("Q")
    first, count = (1, numbers[0]) if node.count == _MANY else (0, node.count)
    if first + count > len(numbers):
        raise BoltError(f"{node.name} is damaged: its list of free pages is longer than the page")
    return numbers[first : first + count].tolist()


def _children(node: _Node) -> Iterator[int]:
    """The pages below a branch."""
    if node.count * _BRANCH_ELEMENT.size > len(node.body):
        raise BoltError(f"{node.name} is damaged: it has no room for its {node.count} elements")
    for index in range(node.count):
        yield _BRANCH_ELEMENT.unpack_from(node.body, index * _BRANCH_ELEMENT.size)[2]


def _leaves(node: _Node) -> Iterator[tuple[int, bytes, memoryview]]:
    """A leaf's elements: (flags, key, value)."""
    if node.count * _LEAF_ELEMENT.size > len(node.body):
        raise BoltError(f"{node.name} is damaged: it has no room for its {node.count} elements")
    for index in range(node.count):
        start = index * _LEAF_ELEMENT.size
        flags, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(node.body, start)
        key = start + position
        if key + key_size + value_size > len(node.body):
            raise BoltError(f"{node.name} is damaged: its element {index} runs out of it")
        value = key + key_size
        yield flags, bytes(node.body[key:value]), node.body[value : value + value_size]
