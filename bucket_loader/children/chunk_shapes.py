"""The chunk shapes that HSDS 0.9 makes of those that it is asked for.

It enlarges a chunk that is smaller than its `min_chunk_size` and reduces one that is larger than its `max_chunk_size`,
and keeps both shapes: its own in "layout", the requested one in "creationProperties". HSDS 1.0 reads the chunks of 0.9
by the second one, and fails ("500 Internal Server Error"). So hsload asks for the shape that 0.9 would make, and the
data is stored as it always was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LEAST, MOST = 1 << 20, 4 << 20  # the two settings, as HSDS has them by default
_VARIABLE = 128  # what HSDS takes for the bytes of an item that varies in size


def enlarged(
    asked_for: Sequence[int], shape: Sequence[int], limits: Sequence[int | None], item: int
) -> tuple[int, ...]:
    """What becomes of a chunk shape of less than LEAST bytes; `item` is the size of an element."""
    chunk = list(asked_for)
    if math.prod(chunk) * item >= LEAST:
        return tuple(chunk)
    growing = sum(limit is None or limit > extent for limit, extent in zip(limits, shape, strict=True))
    if not growing and math.prod(max(extent, 1) for extent in shape) * item <= LEAST:
        return tuple(shape)
    before = 0
    while before < (size := math.prod(chunk) * item) < LEAST:
        before = size
        for axis in reversed(range(len(chunk))):
            limit = limits[axis]
            if growing:
                if limit is None or limit > chunk[axis]:
                    chunk[axis] *= 2
                    if limit is not None and chunk[axis] >= shape[axis]:
                        chunk[axis], growing = limit, growing - 1
            elif chunk[axis] < shape[axis]:
                chunk[axis] = min(2 * chunk[axis], shape[axis])
            if math.prod(chunk) * item > LEAST:
                break
    return tuple(chunk)


def reduced(asked_for: Sequence[int], item: int) -> tuple[int, ...]:
    """What becomes of a chunk shape of more than MOST bytes."""
    chunk = list(asked_for)
    while math.prod(chunk) * item > MOST and max(chunk) > 1:
        for axis, extent in enumerate(chunk):
            chunk[axis] = -(-extent // 2)
            if math.prod(chunk) * item <= MOST:
                break
    return tuple(chunk)


def settled(asked_for: Sequence[int], shape: Sequence[int], limits: Sequence[int | None], item: int) -> tuple[int, ...]:
    """A shape that HSDS leaves as it is, and makes of the one that is asked for; that one where there is none."""
    chunk = tuple(asked_for)
    for _ in range(4):
        made = reduced(enlarged(chunk, shape, limits, item), item)
        if made == chunk:
            return chunk
        chunk = made
    return tuple(asked_for)


def ask_for_what_is_made() -> None:
    """From now on in this process, let h5pyd ask for chunk shapes that HSDS leaves as they are."""
    from h5pyd._hl import httpconn
    from h5pyd._hl.h5type import getItemSize

    post = httpconn.HttpConn.POST

    def posted(self: Any, req: str, *arguments: Any, body: Any = None, **more: Any) -> Any:
        if req == "/datasets" and isinstance(body, dict):
            _settle(body, getItemSize)
        return post(self, req, *arguments, body=body, **more)

    httpconn.HttpConn.POST = posted


def _settle(body: dict[str, Any], item_size: Any) -> None:
    """Change the chunk shape in a request for a dataset; one that is not understood stays as it is."""
    try:
        layout, shape = body["creationProperties"]["layout"], list(body["shape"])
        if layout["class"] != "H5D_CHUNKED" or len(layout["dims"]) != len(shape):
            return
        limits = [None if limit == 0 else int(limit) for limit in body.get("maxdims", shape)]
        size = item_size(body["type"])
        item = size if isinstance(size, int) else _VARIABLE
        layout["dims"] = list(settled(layout["dims"], shape, limits, item))
    except (KeyError, TypeError, ValueError):
        return
