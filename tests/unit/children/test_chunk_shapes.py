"""The chunk shapes that HSDS makes, by its own code."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from bucket_loader.children.chunk_shapes import _settle, enlarged, reduced, settled

Sizes = tuple[int, ...]


def cases(count: int) -> Iterator[tuple[Sizes, Sizes, tuple[int | None, ...]]]:
    """Chunk shapes, shapes, and limits of growth."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        rank = int(rng.integers(1, 4))
        shape = tuple(int(n) for n in rng.integers(1, rng.choice([60, 4000]), rank))
        chunk = tuple(int(rng.integers(1, extent + 1)) for extent in shape)
        more = rng.integers(0, 999, rank) * rng.integers(0, 2, rank)
        yield chunk, shape, tuple(None if n > 900 else extent + int(n) for n, extent in zip(more, shape, strict=True))


def test_the_chunk_is_the_one_that_hsds_makes() -> None:
    chunk_util = pytest.importorskip("hsds.util.chunkUtil")
    for chunk, shape, limits in cases(2000):
        told_shape = {"class": "H5S_SIMPLE", "dims": list(shape), "maxdims": [limit or 0 for limit in limits]}
        expected = chunk
        if math.prod(chunk) * 8 < 1 << 20:
            expected = chunk_util.expandChunk(chunk, 8, told_shape, chunk_min=1 << 20)
        assert enlarged(chunk, shape, limits, 8) == tuple(expected), (shape, chunk, limits)
        assert reduced(chunk, 8) == tuple(chunk_util.shrinkChunk(chunk, 8, chunk_max=4 << 20)), (shape, chunk)


def test_what_is_asked_for_is_left_as_it_is() -> None:
    for chunk, shape, limits in cases(2000):
        found = settled(chunk, shape, limits, 8)
        if found != chunk:
            assert enlarged(found, shape, limits, 8) == found == reduced(found, 8), (shape, chunk, limits)


def request(**more: object) -> dict[str, object]:
    layout = {"class": "H5D_CHUNKED", "dims": [10, 20]}
    return {"shape": [100, 200], "type": "H5T_IEEE_F64LE", "creationProperties": {"layout": layout}} | more


def test_a_request_asks_for_the_chunk_that_is_made() -> None:
    body = request()
    _settle(body, lambda _: 8)
    assert body == request(creationProperties={"layout": {"class": "H5D_CHUNKED", "dims": [100, 200]}})


@pytest.mark.parametrize(
    "more",
    [
        {"creationProperties": {}},
        {"creationProperties": {"layout": {"class": "H5D_CONTIGUOUS_REF", "offset": 1, "size": 2}}},
        {"creationProperties": {"layout": {"class": "H5D_CHUNKED", "dims": "many"}}},
        {"shape": "H5S_NULL"},
        {"shape": [1]},
    ],
)
def test_another_request_stays_as_it_is(more: dict[str, object]) -> None:
    body = request(**more)
    _settle(body, lambda _: 8)
    assert body == request(**more)
