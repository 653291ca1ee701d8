"""The page: one HTML file that needs no network, with charts, failures and a table of all chosen rows to search.

The rows go in as columns of JSON, compressed: 100,000 of them are about 2 MB, and the browser unpacks them in a moment.
The page's own script and style are the only ones that its security policy lets run, whatever a key may hold.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__
from ..inventory.states import State
from ..log import printable
from . import failures
from .charts import charts
from .history import History, Numbers, read
from .select import SHOWABLE, Selection
from .several import Readable
from .summary import summarize
from .terminal import facts, headline
from .words import amount, when

_FILES = Path(__file__).parent / "page_files"


def write(target: Path, inventory: Readable, selection: Selection, title: str) -> str:
    """Write the page of the chosen rows; returns a line that says what was written. Raises OSError."""
    began = time.monotonic()
    text, rows = render(inventory, selection, title)
    target.write_text(text, encoding="utf-8")
    size = amount(target.stat().st_size)
    return f"wrote {target}: {rows:,} rows, {size}, in {time.monotonic() - began:.1f} s"


def render(inventory: Readable, selection: Selection, title: str) -> tuple[str, int]:
    """The page as text, and how many rows it holds."""
    summary = summarize(inventory)
    history = read(inventory, selection)
    script, style = ((_FILES / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    environment = Environment(
        loader=PackageLoader(__package__, "page_files"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,  # not what is markup already
    )
    page = environment.get_template("page.html").render(
        title=title,
        version=__version__,
        made=when(summary.now),
        headline=headline(summary),
        facts=list(facts(summary)),
        states=[(state.label, summary.counts[state], amount(summary.sizes[state])) for state in SHOWABLE],
        total=(summary.rows, amount(summary.bytes)),
        charts=charts(history, summary.now),
        failures=failures.groups(inventory, selection),
        rows=len(history.names),
        data=_packed(history),
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )
    return page, len(history.names)


def _packed(history: History) -> str:
    """What the page's script reads: columns of numbers and texts, as gzip in base64."""
    offset = datetime.now().astimezone().utcoffset()
    failed_load = history.state == State.LOAD_FAILED
    took = history["loaddone"] - history["loadstart"]
    checked = history["diffdone"] - history["diffstart"]
    reason = history["diffresult"].copy()
    reason[failed_load] = history["loadreason"][failed_load]
    last = history["diffdone"].copy()
    last[last == 0] = history["loaddone"][last == 0]
    columns = {
        "file": [printable(name) for name in history.names],
        "state": history.state.tolist(),
        "size": history["size"].tolist(),
        "load": _where(took, (history["loaddone"] > 0) & (history["loadstart"] > 0)),
        "check": _where(checked, (history["diffdone"] > 0) & (history["diffstart"] > 0)),
        "last": last.tolist(),
        "pod": history["loadpodname"].tolist(),
        "reason": reason.tolist(),
        "states": {state.value: state.label for state in SHOWABLE},
        "pods": [printable(pod) for pod in history.pods.all],
        "reasons": [printable(reason) for reason in history.reasons.all],
        "offset": int(offset.total_seconds()) if offset else 0,
    }
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0)).decode()


def _where(values: Numbers, known: npt.NDArray[np.bool_]) -> list[int]:
    """Values that are known, and -1 for the others."""
    return [int(value) for value in np.where(known, np.maximum(values, 0), -1)]


def _hash(text: str) -> str:
    """What the security policy knows a script or a style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
