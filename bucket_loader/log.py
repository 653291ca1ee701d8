"""Log lines for people: one line per event, `key=value` at the end of it."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

logger = logging.getLogger("bucket_loader")


def set_up(level: str, stream: TextIO = sys.stdout) -> None:
    """Send this package's log to a stream, and keep the libraries quiet.

    h5pyd logs an error of its own for what is retried or reported here in one line, so that it is heard in DEBUG only.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    libraries = logging.WARNING if level == "DEBUG" else logging.CRITICAL
    for name in ("h5pyd", "botocore", "boto3", "urllib3", "s3fs"):
        logging.getLogger(name).setLevel(libraries)


def fields(**values: object) -> str:
    """`a=1 b="x y"`: the end of a log line. Values with spaces or quotes are quoted; None is left out."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in values.items() if value is not None)


def _quoted(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return repr(text) if not text or any(c.isspace() or c in "\"'" for c in text) or not text.isprintable() else text
