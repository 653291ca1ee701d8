"""The words for what is compared: a link, a shape, a value, each as short text for a person."""

from __future__ import annotations

from typing import Any

import numpy as np


def link(found: tuple[str, ...]) -> str:
    return f"{found[0]} link" + (" to " + ":".join(found[1:]) if found[0] in ("soft", "external") else "")


def shape(extents: tuple[int, ...] | None) -> str:
    return "null space" if extents is None else "scalar" if extents == () else str(tuple(extents))


def value(element: Any) -> str:
    """Numbers without numpy's wrapping, text as bytes."""
    if isinstance(element, np.void) and element.dtype.names is None:
        return str(element.tobytes().hex())
    if isinstance(element, (np.generic, np.ndarray)):
        return repr(element.tolist())
    return element if isinstance(element, str) else repr(element)
