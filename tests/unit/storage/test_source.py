"""The source as a file for h5py: which bytes are asked for, and when."""

from __future__ import annotations

import io
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from bucket_loader.hdf5 import stream as stream_module
from bucket_loader.hdf5.file import objects
from bucket_loader.storage.source import opened

BLOCK = 4096
COUNT = 150  # more than are asked for at once


class Recorded:
    """A source in memory that notes which bytes were read, and how many reads had begun when one was waited for."""

    def __init__(self, body: bytes) -> None:
        self._body, self.size = body, len(body)
        self.read_at: list[int] = []
        self.begun: list[int] = []
        self.waited = self.read_bytes = 0

    def read(self, first: int, size: int) -> bytes:
        self.read_at.append(first)
        body = self._body[first : first + size]
        self.read_bytes += len(body)
        return body

    def read_ahead(self, first: int, size: int) -> Callable[[], bytes]:
        self.begun.append(first)

        def wait() -> bytes:
            self.waited += 1
            return self.read(first, size)

        return wait


def body(userblock: int) -> bytes:
    """Datasets of a group whose headers lie a block and more from each other."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="latest", userblock_size=userblock) as file:
        for number in range(COUNT):
            file.create_dataset(f"{number:03d}", data=np.full(BLOCK, number, "u1"))
    return stream.getvalue()


@pytest.mark.parametrize("userblock", [0, 8192])
def test_the_headers_of_a_group_are_asked_for_at_once(userblock: int) -> None:
    source = Recorded(body(userblock))
    with opened("file", source, 4 * BLOCK, BLOCK) as of:
        found = [item.path for item in objects(of.file, ahead=of.fetch_ahead)]
        assert len(found) == COUNT + 1
    assert len(source.begun) > COUNT // 4 and len(set(source.begun)) == len(source.begun)
    assert source.waited == len(source.begun), "what was asked for was of use"
    assert len(source.read_at) - source.waited < COUNT // 4, "and not much else was"


def test_metadata_that_is_dense_is_read_in_few_requests_and_once() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for number in range(400):
            file.create_group(f"{number}").attrs["a"] = number
    source = Recorded(stream.getvalue())
    with opened("file", source, 16 << 10, BLOCK) as of:
        assert [item.path for item in objects(of.file)]
    assert len(source.read_at) < 2 * source.size / (16 << 10)
    assert source.read_bytes <= source.size


def test_what_is_told_of_places_outside_of_the_file_is_not_asked_for() -> None:
    source = Recorded(body(0))
    with opened("file", source, 4 * BLOCK, BLOCK) as of:
        of.fetch_ahead([-1, source.size, 1 << 62])
        assert not source.begun


def test_large_blocks_are_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_AHEAD_BYTES", 10 * BLOCK)
    source = Recorded(body(0))
    with opened("file", source, 4 * BLOCK, BLOCK) as of:
        of.fetch_ahead(range(0, source.size, BLOCK))
        assert len(source.begun) == 10 and not source.waited
