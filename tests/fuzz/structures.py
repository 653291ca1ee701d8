"""Where the structures of an HDF5 file lie, found by how they begin, and the checksums that some of them carry.

Nothing here can read a file: it finds places in bytes where damage says something else than "this is no HDF5 file".
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_SIGNATURES = re.compile(
    rb"\x89HDF\r\n\x1a\n|OHDR|OCHK|TREE|SNOD|HEAP|GCOL|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FAHD|FADB|EAHD|EAIB|EASB|EADB"
    rb"|SMTB|SMLI|FSHD|FSSE"
)
_CHANGED = re.compile(rb"\x12\0\x08\0.\0\0\0\x01\0\0\0", re.DOTALL)  # the time of the last change, in an old header
_SEALED = (b"OHDR", b"OCHK", b"FRHP", b"FHIB", b"BTHD", b"BTLF", b"BTIN", b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EADB")
_SEALED += (b"SMTB", b"SMLI")
_ZONE = 160  # bytes after a signature in which a structure says what it is
_LONGEST_SEARCH = 700  # of a checksum's place, where the length of a structure is not in it
_MOST_SEALS = 150


@dataclass(frozen=True)
class Seal:
    """A checksum: of the bytes from `start` to `end`, at `place`. The place counts as zero where it is within them."""

    start: int
    end: int
    place: int

    def of(self, body: bytes | bytearray) -> bytes:
        sealed = bytearray(body[self.start : self.end])
        if self.place < self.end:
            sealed[self.place - self.start : self.place - self.start + 4] = bytes(4)
        return struct.pack("<I", lookup3(bytes(sealed)))

    def holds(self, body: bytes | bytearray) -> bool:
        return body[self.place : self.place + 4] == self.of(body)


@dataclass(frozen=True)
class Seed:
    """A good file that damaged ones are made of."""

    name: str
    body: bytes

    @cached_property
    def signatures(self) -> list[int]:
        """Where structures begin."""
        return [found.start() for found in _SIGNATURES.finditer(self.body)]

    @cached_property
    def headers(self) -> list[int]:
        """Where object headers of the old format begin, which have no signature."""
        return list(_old_headers(self.body))

    @cached_property
    def zones(self) -> list[tuple[int, int]]:
        """Runs of bytes that say what lies where: the begin and the length of each."""
        size = len(self.body)
        marked = [(start, min(_ZONE, size - start)) for start in (0, *self.signatures)]
        for start in self.headers:
            length = struct.unpack_from("<I", self.body, start + 8)[0]
            marked += [(start, 16), *_messages(self.body, start + 16, start + 16 + length)]
        return [zone for zone in marked if zone[1] > 0]

    @cached_property
    def addresses(self) -> list[int]:
        """Where structures begin, as the file itself would say."""
        return sorted({*self.signatures, *self.headers} - {0})

    @cached_property
    def pointers(self) -> list[int]:
        """Where the file has such an address."""
        known = {struct.pack("<Q", address) for address in self.addresses}
        body = self.body
        return [place for place in range(len(body) - 8) if body[place : place + 8] in known]

    @cached_property
    def seals(self) -> list[Seal]:
        """The checksums whose place was found."""
        found: list[Seal] = []
        for start in self.signatures:
            if len(found) == _MOST_SEALS:
                break
            if seal := _seal(self.body, start):
                found.append(seal)
        return found

    def resealed(self, damaged: bytes) -> bytes:
        """A damaged body of this file with the checksums that it would have, had it been written so."""
        out = bytearray(damaged)
        for seal in self.seals:
            if seal.place + 4 <= len(out):
                out[seal.place : seal.place + 4] = seal.of(out)
        return bytes(out)


def without_times(body: bytes) -> bytes:
    """The file without the times that the library writes into object headers: the same bytes at every making."""
    seed = Seed("", body)
    out = bytearray(body)
    for start in seed.signatures:
        if body[start : start + 4] == b"OHDR" and body[start + 5] & 0x20:
            out[start + 6 : start + 22] = bytes(16)
    for found in _CHANGED.finditer(body):
        out[found.end() : found.end() + 4] = bytes(4)
    return seed.resealed(bytes(out))


def _old_headers(body: bytes) -> Iterator[int]:
    for start in range(0, len(body) - 16, 8):
        version, zero, count, references, size = struct.unpack_from("<BBHII", body, start)
        fits = 8 <= size <= len(body) - start - 16 and size % 8 == 0 and body[start + 12 : start + 16] == bytes(4)
        if (version, zero) == (1, 0) and 0 < count < 200 and 0 < references < 100 and fits:
            yield start


def _messages(body: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The messages of an object header of the old format: the begin and the length of each."""
    while start + 8 <= end:
        kind, size = struct.unpack_from("<HH", body, start)
        if kind > 0x18 or start + 8 + size > end:
            return
        if kind:  # 0 is a gap
            yield start, 8 + size
        start += 8 + size


def _seal(body: bytes, start: int) -> Seal | None:
    """The checksum of the structure that begins there, if one is found."""
    kind = body[start : start + 4]
    if kind == b"\x89HDF" and body[start + 8] in (2, 3):
        return _first([Seal(start, start + 44, start + 44)], body)
    if kind == b"OHDR":
        return _first([_of_header(body, start)], body)
    if kind == b"FHDB":
        sizes = (1 << bits for bits in range(9, 17))
        return _first([Seal(start, start + size, start + at) for size in sizes for at in (17, 18, 19)], body)
    if kind in _SEALED:
        last = min(start + _LONGEST_SEARCH, len(body) - 4)
        return _first([Seal(start, end, end) for end in range(start + 8, last)], body)
    return None


def _first(candidates: list[Seal], body: bytes) -> Seal | None:
    fitting = (seal for seal in candidates if seal.end <= len(body) and seal.place + 4 <= len(body))
    return next((seal for seal in fitting if seal.holds(body)), None)


def _of_header(body: bytes, start: int) -> Seal:
    flags = body[start + 5]
    width = 1 << (flags & 3)
    at = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    end = at + width + int.from_bytes(body[at : at + width], "little")
    return Seal(start, end, end)


def structure_at(seed: Seed, place: int) -> str:
    """What a place belongs to, for a person."""
    index = bisect_right(seed.signatures, place) - 1
    return seed.body[seed.signatures[index] :][:4].decode("ascii", "replace") if index >= 0 else "begin"


def lookup3(data: bytes) -> int:
    """Bob Jenkins's hash, with which HDF5 seals its newer structures."""
    mask = 0xFFFFFFFF
    a = b = c = (0xDEADBEEF + len(data)) & mask
    whole = max(0, (len(data) - 1) // 12) * 12
    padded = data + bytes(12)
    for start in range(0, whole, 12):
        x, y, z = struct.unpack_from("<III", padded, start)
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        a = (a - c) & mask ^ _turned(c, 4)
        c = (c + b) & mask
        b = (b - a) & mask ^ _turned(a, 6)
        a = (a + c) & mask
        c = (c - b) & mask ^ _turned(b, 8)
        b = (b + a) & mask
        a = (a - c) & mask ^ _turned(c, 16)
        c = (c + b) & mask
        b = (b - a) & mask ^ _turned(a, 19)
        a = (a + c) & mask
        c = (c - b) & mask ^ _turned(b, 4)
        b = (b + a) & mask
    if not data:
        return c
    tail = data[whole:] + bytes(12 - len(data[whole:]))
    x, y, z = struct.unpack("<III", tail)
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    c = (c ^ b) - _turned(b, 14) & mask
    a = (a ^ c) - _turned(c, 11) & mask
    b = (b ^ a) - _turned(a, 25) & mask
    c = (c ^ b) - _turned(b, 16) & mask
    a = (a ^ c) - _turned(c, 4) & mask
    b = (b ^ a) - _turned(a, 14) & mask
    return (c ^ b) - _turned(b, 24) & mask


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF
