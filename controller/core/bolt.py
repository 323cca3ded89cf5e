"""Reads a bbolt database, as etcd keeps its data in, and holds it to its own rules. Changes nothing.

Layout of go.etcd.io/bbolt (page.go, meta.go, bucket.go): pages of one size, two meta pages at the start, B+
trees of branch and leaf pages behind them. What no tree reaches (free pages) is not looked at.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inventory.errors import CheckFailed

Read = Callable[[int, int], bytes]  # (offset, size) → exactly so many bytes, fewer at the end of the file
MAGIC, VERSION = 0xED0CDAED, 2
_BRANCH, _LEAF, _META = 0x01, 0x02, 0x04
_BUCKET = 0x01  # flag of a leaf element
_HEADER = struct.Struct("<QHHI")  # page id, flags, elements, pages that follow it
_META_FIELDS = struct.Struct("<IIIIQQQQQQ")
_LEAF_ELEMENT, _BRANCH_ELEMENT = struct.Struct("<IIII"), struct.Struct("<IIQ")
_BUCKET_FIELDS = struct.Struct("<QQ")
_PAGE_SIZES = frozenset(1 << n for n in range(9, 17))
_DEEPEST = 32  # a B+ tree of this depth would hold more than any disk
_FIX = "use another snapshot; this one is damaged"


@dataclass(frozen=True, slots=True)
class Meta:
    page_size: int
    root: int
    pages: int  # the first page number that is not used
    transaction: int


@dataclass(frozen=True, slots=True)
class Entry:
    key: bytes
    value: bytes
    bucket: bool = False


class Database:
    """`size` in bytes, without anything behind the database. Raises CheckFailed for what can't be so."""

    def __init__(self, read: Read, size: int, *, where: str) -> None:
        self._read, self._size, self._where = read, size, where
        self.meta = self._newest()
        self._seen = bytearray(self.meta.pages)
        self._seen[0:2] = b"\1\1"

    @property
    def visited(self) -> int:
        """Pages that were read and found good so far, the meta pages included."""
        return sum(self._seen)

    def buckets(self) -> Iterator[tuple[bytes, Iterator[Entry]]]:
        """Each top-level bucket by name, with its entries in order; take those of one before the next."""
        for entry in self._tree(self.meta.root):
            if not entry.bucket:
                raise self._bad("its root holds something else than buckets")
            yield entry.key, self._bucket(entry.value)

    def _bucket(self, value: bytes) -> Iterator[Entry]:
        if len(value) < _BUCKET_FIELDS.size:
            raise self._bad("a bucket has no header")
        root, _ = _BUCKET_FIELDS.unpack_from(value)
        if root:
            yield from self._tree(root)
        else:  # small ones are kept in the page of their parent
            yield from self._elements(value[_BUCKET_FIELDS.size :], "an inline bucket")

    def _tree(self, root: int) -> Iterator[Entry]:
        """In order, so that keys which do not rise show a damaged tree."""
        last: bytes | None = None
        stack: list[Iterator[int]] = [iter((root,))]
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            page, flags = self._page(number)
            if flags & _BRANCH:
                if len(stack) > _DEEPEST:
                    raise self._bad("its tree is deeper than any can be")
                stack.append(iter(self._children(page, number)))
                continue
            for entry in self._elements(page, f"page {number}"):
                if last is not None and entry.key <= last:
                    raise self._bad(f"the keys of page {number} are not in order")
                last = entry.key
                yield entry

    def _page(self, number: int) -> tuple[bytes, int]:
        """A branch or leaf page with what overflows from it. Each belongs to one tree, once."""
        size = self.meta.page_size
        if not 2 <= number < self.meta.pages:
            raise self._bad(f"page {number} lies outside of the file")
        page = self._read(number * size, size)
        if len(page) < size:
            raise self._bad(f"page {number} is cut short")
        told, flags, _, overflow = _HEADER.unpack_from(page)
        if told != number or flags not in (_BRANCH, _LEAF):
            raise self._bad(f"page {number} says that it is page {told}, of kind {flags:#x}")
        if number + overflow >= self.meta.pages:
            raise self._bad(f"page {number} goes on beyond the file")
        if any(self._seen[number : number + overflow + 1]):
            raise self._bad(f"page {number} is used twice")
        self._seen[number : number + overflow + 1] = b"\1" * (overflow + 1)
        if overflow:
            page = self._read(number * size, size * (overflow + 1))
        return page, flags

    def _elements(self, page: bytes, name: str) -> Iterator[Entry]:
        if len(page) < _HEADER.size:
            raise self._bad(f"{name} is cut short")
        _, flags, count, _ = _HEADER.unpack_from(page)
        if flags != _LEAF or _HEADER.size + count * _LEAF_ELEMENT.size > len(page):
            raise self._bad(f"{name} is no leaf page of {count} elements")
        for index in range(count):
            at = _HEADER.size + index * _LEAF_ELEMENT.size
            kind, position, keys, values = _LEAF_ELEMENT.unpack_from(page, at)
            begin = at + position
            if begin + keys + values > len(page):
                raise self._bad(f"element {index} of {name} ends outside of it")
            middle = begin + keys
            yield Entry(page[begin:middle], page[middle : middle + values], bool(kind & _BUCKET))

    def _children(self, page: bytes, number: int) -> list[int]:
        count = _HEADER.unpack_from(page)[2]
        if not count or _HEADER.size + count * _BRANCH_ELEMENT.size > len(page):
            raise self._bad(f"page {number} is no branch of {count} elements")
        offsets = range(_HEADER.size, _HEADER.size + count * _BRANCH_ELEMENT.size, _BRANCH_ELEMENT.size)
        return [_BRANCH_ELEMENT.unpack_from(page, at)[2] for at in offsets]

    def _newest(self) -> Meta:
        """The meta page of the last transaction that is whole, as bbolt chooses it."""
        first = self._meta(0)
        # Without the first, the page size is not known: every one that there may be is tried.
        sizes = (first.page_size,) if first else sorted(_PAGE_SIZES)
        found = [meta for meta in (first, *(self._meta(size) for size in sizes)) if meta is not None]
        if not found:
            raise self._bad("no page says that this is a bbolt database")
        newest = max(found, key=lambda meta: meta.transaction)
        if newest.pages * newest.page_size != self._size:
            raise self._bad(
                f"it has {self._size} bytes, and its {newest.pages} pages of {newest.page_size} need "
                f"{newest.pages * newest.page_size}"
            )
        return newest

    def _meta(self, offset: int) -> Meta | None:
        page = self._read(offset, _HEADER.size + _META_FIELDS.size)
        if len(page) < _HEADER.size + _META_FIELDS.size or not _HEADER.unpack_from(page)[1] & _META:
            return None
        body = page[_HEADER.size :]
        magic, version, size, _, root, _, _, pages, transaction, checksum = _META_FIELDS.unpack(body)
        if (magic, version) != (MAGIC, VERSION) or size not in _PAGE_SIZES or checksum != _fnv(body[:-8]):
            return None
        return Meta(size, root, pages, transaction)

    def _bad(self, what: str) -> CheckFailed:
        return CheckFailed(what, where=self._where, fix=_FIX)


def _fnv(data: bytes) -> int:
    """FNV-1a with 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
