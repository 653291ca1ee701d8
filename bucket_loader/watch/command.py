"""Keeps the inventory in step with the source bucket: new keys, new versions, keys that vanished."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

from ..config import Config
from ..hsds import HsdsError
from ..inventory.claims import Inventory, open_inventory
from ..inventory.table import InventoryError
from ..log import event
from ..pod import process
from ..pod.health import Pulse, served
from ..pod.stop import Stop
from ..program import Command
from ..s3 import Source, SourceError, open_source
from ..storage.target import Target
from . import backlog, leftovers
from .events import WAIT_SECONDS, Events
from .leftovers import Leftovers
from .metrics import WatcherMetrics
from .watcher import Pass, Watcher

PAUSE_FACTOR = 9  # times the seconds that a pass over the table took
EXAMPLES = """\
examples:
  %(prog)s          as in a pod: scan again and again until told to stop
  %(prog)s --once   one scan
"""


def add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--once", action="store_true", help="make one scan, then end")


def watch(options: argparse.Namespace, settings: Config) -> int:
    """Scan the bucket, with `--once` once, else until told to stop; the exit status."""
    metrics = WatcherMetrics(Pulse(settings.stuck_after))
    with (
        Stop(settings.shutdown_grace).on_signals() as stop,
        served(settings.metrics_port, metrics.pulse, metrics.registry) as port,
    ):
        opened: list[_Opened] = []

        def ready() -> None:
            opened[:] = [_Opened.of(settings, metrics)]

        if not process.wait_for(ready, settings, stop, metrics):
            return 0
        found = opened[0]
        if port is not None:
            _beside(
                stop,
                "count the inventory",
                lambda: metrics.counted(backlog.take(found.counted)),
                backlog.SHORTEST_PAUSE,
            )
        if options.once:
            _scan(found.watcher, metrics)
            if found.old is not None:
                found.old.delete()
            return 0
        if found.old is not None:
            _beside(stop, "delete what was replaced", found.old.delete, leftovers.SHORTEST_PAUSE)
        _keep_in_step(found.watcher, found.events, settings, stop, metrics)
    return 0


class _Opened(NamedTuple):
    """What a watcher works with, found and open."""

    watcher: Watcher
    events: Events | None
    counted: Inventory  # for the thread that counts
    old: Leftovers | None

    @classmethod
    def of(cls, settings: Config, metrics: WatcherMetrics) -> _Opened:
        source = open_source(settings)
        inventory = open_inventory(settings)
        events, old = None, None
        if settings.src_events:
            events = Events(source, settings.src_events)
            events.check()
        if settings.tgt_bucket:
            old = Leftovers(inventory.clone(), Target(Source(settings), settings.tgt_bucket), settings.domains)
        return cls(Watcher(source, inventory, settings.domains, metrics), events, inventory.clone(), old)


def _keep_in_step(
    watcher: Watcher, events: Events | None, settings: Config, stop: Stop, metrics: WatcherMetrics
) -> None:
    """Scan until told to stop, with `watchdog_sleep_time` between two passes.

    With `events` it listens to the queue between two scans, which are `full_scan_every` apart. A pass that breaks off,
    because a server is away or refuses, is said, and a scan made after the pause, which misses nothing.
    """
    next_scan = 0.0
    while not stop.requested:
        try:
            if events is not None and time.monotonic() < next_scan:
                _hear(watcher, events, metrics)
                continue
            _scan(watcher, metrics)
            next_scan = time.monotonic() + settings.full_scan_every
        except (SourceError, HsdsError, InventoryError) as error:
            metrics.broke_off()
            event(logging.WARNING, "scan broke off", error=error)
            next_scan = 0.0
        if events is None or not next_scan:
            metrics.alive(rest=settings.watchdog_sleep_time)
            stop.wait(settings.watchdog_sleep_time)


def _scan(watcher: Watcher, metrics: WatcherMetrics) -> None:
    began = time.monotonic()
    done = watcher.scan()
    seconds = time.monotonic() - began
    metrics.scanned(done, seconds)
    _say("scanned", done, listed=done.listed, seconds=seconds)


def _hear(watcher: Watcher, events: Events, metrics: WatcherMetrics) -> None:
    """Bring up to date what the queue has news of; a message is forgotten when its rows are in storage."""
    metrics.alive(rest=WAIT_SECONDS)
    heard = events.receive()
    if heard.keys:
        done = watcher.hear(*events.objects(heard))
        metrics.changed(done)
        _say("heard of news", done, listed=None, keys=len(heard.keys))
    events.acknowledge(heard)
    metrics.heard(len(heard.receipts))


def _say(what: str, done: Pass, **fields: object) -> None:
    counts = {name: count or None for name, count in asdict(done).items()}
    event(logging.INFO if done.news else logging.DEBUG, what, **counts | fields)


def _beside(stop: Stop, what: str, step: Callable[[], object], shortest_pause: float) -> None:
    args = (stop, what, step, shortest_pause)
    threading.Thread(target=keep_doing, args=args, name=what, daemon=True).start()


def keep_doing(stop: Stop, what: str, step: Callable[[], object], shortest_pause: float) -> None:
    """Do a step that reads the whole table again and again until told to stop; a server that is away is waited for.

    A table has no index, and the data node that reads it serves others, too: it has nine tenths of its time for them.
    """
    while not stop.requested:
        began = time.monotonic()
        try:
            step()
        except (HsdsError, InventoryError, SourceError) as error:
            event(logging.WARNING, f"cannot {what}", error=error)
        stop.wait(max(shortest_pause, PAUSE_FACTOR * (time.monotonic() - began)))


COMMAND = Command("Add the files of the source bucket to the inventory.", EXAMPLES, add_options, watch)
