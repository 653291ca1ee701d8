"""An inventory as it is after a weekend, without the weekend: rows of every state, written straight into the table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import COLUMNS, key_digest
from bucket_loader.inventory.states import State

NASTY = [
    "<script>alert(1)</script>.h5",
    "a \"quoted\" 'key'.h5",
    "größe/ü & <b>.h5",
    "=1+1.h5",
    "line\nbreak\x1b[31m.h5",
]
REASONS = [
    "Unable to open file: file signature not found",
    "took too long: 21600 s",
    "took too long: 7200 s",
    "dataset '/run{0}/data' chunk {0}: 503 Service Unavailable",
    "cannot read /data/{0}/x.h5 <img src=x onerror=alert(1)>",
]
PODS = 8


def rows(count: int, now: int, hours: float = 30.0, left: float = 0.1) -> npt.NDArray[np.void]:
    """`count` rows of which the last share `left` is still to be done: loads from `hours` ago until now."""
    random = np.random.default_rng(7)
    table = np.zeros(count, COLUMNS)
    keys = [f"climate/run{n % 40:02}/member_{n:07}.h5" for n in range(count)]
    keys[: len(NASTY)] = NASTY[:count]
    table["filename"] = [key.encode() for key in keys]
    table["keyhash"] = [key_digest(key).hex().encode() for key in keys] if count <= 10_000 else b"0" * 32
    table["rowid"] = np.arange(1, count + 1)
    table["size"] = np.exp(random.normal(15, 3, count)).astype("i8")
    table["added"] = now - int(hours * 3600)
    done = int(count * (1 - left))
    began = now - int(hours * 3600) + np.sort(random.random(done)) * (hours * 3600 - 400)
    took = 1 + (table["size"][:done] / 3e7 + random.exponential(2, done)).astype("i8").clip(0, 300)
    loaded = table[:done]
    loaded["loadstart"], loaded["loaddone"] = began, began.astype("i8") + took
    loaded["loadpodname"] = [f"hsds-bucket-loader-7d9c6f-{n}".encode() for n in random.integers(0, PODS, done)]
    loaded["loadattempts"], loaded["loadmode"], loaded["state"] = 1, b"link", State.VERIFIED
    loaded["diffstart"] = loaded["loaddone"] + 20
    loaded["diffdone"] = loaded["diffstart"] + 1 + took // 2
    loaded["diffpodname"] = [f"hsds-bucket-diff-5b8-{n}".encode() for n in random.integers(0, 4, done)]
    loaded["diffattempts"], loaded["diffresult"] = 1, b"PASSED"
    for offset in range(len(REASONS)):
        failed = loaded[20 + offset :: 97 * (offset + 1)]
        failed["state"], failed["loadstatus"], failed["loadattempts"] = State.LOAD_FAILED, 1, 3
        failed["loadreason"] = [REASONS[offset].format(n).encode() for n in range(len(failed))]
        for name in ("diffstart", "diffdone", "diffattempts"):
            failed[name] = 0
        failed["diffpodname"] = failed["diffresult"] = b""
    different = loaded[50::501]
    different["state"], different["diffstatus"] = State.CHECK_FAILED, 1
    different["diffresult"] = [f"/tas[{n}]: 288.5 != nan".encode() for n in range(len(different))]
    waiting = table[done:]
    waiting["state"] = State.NEW
    busy = waiting[:PODS]
    busy["state"], busy["loadstart"], busy["loadattempts"] = State.LOADING, now - np.arange(len(busy)) * 37, 1
    busy["loadpodname"] = [f"hsds-bucket-loader-7d9c6f-{n}".encode() for n in range(len(busy))]
    busy["lease"], busy["token"] = now + 90, np.arange(len(busy)) + 1
    return table


def fill(inventory: Inventory, table: npt.NDArray[np.void]) -> None:
    """Append rows as they are."""
    for start in range(0, len(table), 4096):
        part = table[start : start + 4096]
        inventory._hsds.request(
            "PUT", inventory._value, inventory.domain, params={"append": len(part)}, data=part.tobytes(), again=False
        )
    inventory.flush()
