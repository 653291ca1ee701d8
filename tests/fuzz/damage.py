"""Damaged files, made from good ones by chance, and each the same whenever it is made again.

A case is named by its seed file, the kind of damage and a number: `groups-latest:bits:17`. In more than half of them
the checksums are set right, so that the library does not stop at the first one.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.fuzz.structures import Seed

EDGES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 20, 1 << 31, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 64) - 1)
# what a name may say: to a terminal, a log, a path, a query, and to whoever reads a reason
WORDS = (
    b"\x1b[31m", b"\n", b"\r", b"\xff\xfe", b"\xc3", b"/", b"..", b"?", b"#", b"%00", b"\0", b"\xe2\x80\xae",
    b"\xc2\x9b", b"Traceback", b"503 Service Unavailable", b"timed out", b"ERROR", b"same: 1 objects", b'"}',
)  # fmt: skip
_TEXT = re.compile(rb"[A-Za-z0-9_ ]{3,}")
Damage = Callable[[random.Random, Seed, Sequence[Seed]], bytes]


@dataclass(frozen=True, order=True)
class Case:
    """A damaged file that has not been made yet."""

    seed: str
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.seed}:{self.kind}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> Case:
        seed, kind, number = text.rsplit(":", 2)
        return cls(seed, kind, int(number))

    def body(self, seeds: Mapping[str, Seed]) -> bytes:
        """The damaged file. Raises KeyError for a seed or a kind that is not there."""
        rng, seed = random.Random(str(self)), seeds[self.seed]
        # others than these may be missing: no public files here, and the same cases wherever they are
        others = [seeds[name] for name in sorted(seeds) if name.endswith(("-earliest", "-latest"))]
        out = seed.body
        for _ in range(10):
            out = KINDS[self.kind](rng, seed, others)
            if out != seed.body:
                break
        return seed.resealed(out) if rng.random() < 0.6 else out


def bits(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """Some bits are flipped."""
    out = bytearray(seed.body)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        out[_place(rng, seed)] ^= 1 << rng.randrange(8)
    return bytes(out)


def numbers(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """A length, a count, an offset or what is read as one is at the edge of what it can be."""
    out = bytearray(seed.body)
    for _ in range(rng.choice((1, 1, 2, 3))):
        width = rng.choice((1, 2, 4, 8))
        place = _place(rng, seed, width)
        value = rng.choice((*EDGES, len(out), len(out) - 8, int.from_bytes(out[place : place + width], "little") + 1))
        _put(out, place, (value % (1 << (8 * width))).to_bytes(width, "little"))
    return bytes(out)


def pointers(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """An address leads to another structure, to itself, or nowhere: cycles, and one thing read as another."""
    if not seed.pointers:
        return numbers(rng, seed, ())
    out = bytearray(seed.body)
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.choice(seed.pointers)
        target = rng.choice((*rng.choices(seed.addresses, k=4), place, 0, len(out), (1 << 64) - 1))
        _put(out, place, struct.pack("<Q", target))
    return bytes(out)


def cut(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """The file ends too early."""
    return seed.body[: _place(rng, seed) + rng.randrange(64)]


def longer(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """Something follows the file, or stands before it."""
    more = rng.choice((rng.randbytes(rng.choice((1, 512, 5000))), bytes(4096), seed.body))
    return more[: rng.choice((512, 1024, 2048))] + seed.body if rng.random() < 0.2 else seed.body + more


def crossed(rng: random.Random, seed: Seed, others: Sequence[Seed]) -> bytes:
    """A piece of another file, as a rule a structure of it, stands where this one had something."""
    other = rng.choice(others)
    length = rng.choice((8, 24, 48, 96, 512, 2048))
    start = _place(rng, other)
    if other.signatures and rng.random() < 0.7:
        start = rng.choice(other.signatures)
    if rng.random() < 0.2:
        start = place = 0
    else:
        place = rng.choice(seed.addresses) if seed.addresses and rng.random() < 0.7 else _place(rng, seed)
    out = bytearray(seed.body)
    _put(out, place, other.body[start : start + length])
    return bytes(out)


def blocks(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """A block of the file is zeroed, all ones, or a copy of another."""
    out, length = bytearray(seed.body), rng.choice((4, 16, 64, 512, 4096))
    place, other = _place(rng, seed), _place(rng, seed)
    _put(out, place, rng.choice((bytes(length), b"\xff" * length, seed.body[other : other + length])))
    return bytes(out)


def texts(rng: random.Random, seed: Seed, _: Sequence[Seed]) -> bytes:
    """Names and texts hold what nobody expects in them."""
    found = [match.span() for match in _TEXT.finditer(seed.body)]
    if not found:
        return bits(rng, seed, ())
    out = bytearray(seed.body)
    for _ in range(rng.choice((1, 2, 5))):
        start, end = rng.choice(found)
        word = rng.choice(WORDS)
        at = rng.choice((start, end - 1, rng.randrange(start, end)))
        _put(out, at, word[: max(1, end - at)])
    return bytes(out)


def several(rng: random.Random, seed: Seed, others: Sequence[Seed]) -> bytes:
    """Damage upon damage."""
    body = seed.body
    for _ in range(rng.randrange(2, 5)):
        body = rng.choice((bits, numbers, pointers, blocks, texts, crossed))(rng, Seed(seed.name, body), others)
    return body


KINDS: dict[str, Damage] = {
    kind.__name__: kind for kind in (bits, numbers, pointers, cut, longer, crossed, blocks, texts, several)
}


def _place(rng: random.Random, seed: Seed, width: int = 1) -> int:
    """A place to damage: as a rule in a structure, often in the first KB, sometimes anywhere."""
    last = max(1, len(seed.body) - width + 1)
    chance = rng.random()
    if chance < 0.65:
        start, length = rng.choice(seed.zones)
        return min(start + rng.randrange(length), last - 1)
    return rng.randrange(min(1024, last) if chance < 0.8 else last)


def _put(body: bytearray, place: int, piece: bytes) -> None:
    """Overwrite, without making the body longer."""
    piece = piece[: len(body) - place]
    body[place : place + len(piece)] = piece
