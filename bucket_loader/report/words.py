"""Times, sizes and keys as people read them."""

from __future__ import annotations

from datetime import datetime

from ..inventory.model import Doing


def when(epoch: int) -> str:
    """A time with its zone, as local to the reader; `-` for never."""
    return datetime.fromtimestamp(epoch).astimezone().isoformat(timespec="seconds") if epoch else "-"


def minute(epoch: int) -> str:
    """A local time without its zone, to the minute; `-` for never."""
    return datetime.fromtimestamp(epoch).strftime("%Y-%m-%d %H:%M") if epoch else "-"


def zone() -> str:
    """The zone of `minute`, as in `UTC+01:00`."""
    offset = datetime.now().astimezone().strftime("%z")
    return f"UTC{offset[:3]}:{offset[3:5]}"


def duration(seconds: float) -> str:
    """`3d 4h`, `2h 03m`, `5m 07s` or `12s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {rest:02}s" if minutes else f"{rest}s"


def amount(size: float) -> str:
    """Bytes for people, in powers of 1,024."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def doing(column: str) -> str:
    """What the worker of a row was at when it last said so; empty where it did not."""
    found = Doing.from_column(column)
    if not found.of:
        return found.step
    return f"{found.step} {found.objects:,} of {found.of:,} objects, {amount(found.bytes)}"


def pod_of(worker: bytes) -> bytes:
    """The pod of a worker, which has a number behind the pod's name (`pod/1`) where a pod has several."""
    return worker.partition(b"/")[0]
