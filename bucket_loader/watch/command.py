"""Keeps the inventory in step with the source bucket: new keys, new versions, keys that vanished."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from dataclasses import asdict

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
from . import backlog
from .leftovers import Leftovers, keep
from .metrics import WatcherMetrics
from .watcher import Watcher

EXAMPLES = """\
examples:
  %(prog)s          as in a pod: scan again and again until told to stop
  %(prog)s --once   one scan
"""


def add_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--once", action="store_true", help="make one scan, then end")


def watch(options: argparse.Namespace, settings: Config) -> int:
    """Scan the bucket until told to stop, with `watchdog_sleep_time` between two passes; the exit status.

    A pass that breaks off, because a server is away or refuses, is said and made again.
    """
    metrics = WatcherMetrics(Pulse(settings.stuck_after))
    with (
        Stop(settings.shutdown_grace).on_signals() as stop,
        served(settings.metrics_port, metrics.pulse, metrics.registry) as port,
    ):
        opened: list[tuple[Watcher, Inventory, Leftovers | None]] = []

        def ready() -> None:
            source = open_source(settings)
            inventory = open_inventory(settings)
            watcher = Watcher(source, inventory, settings.domains, metrics)
            leftovers = None
            if settings.tgt_bucket:
                target = Target(Source(settings), settings.tgt_bucket)
                leftovers = Leftovers(inventory.clone(), target, settings.domains)
            opened[:] = [(watcher, inventory.clone(), leftovers)]

        if not process.wait_for(ready, settings, stop, metrics):
            return 0
        watcher, counted, leftovers = opened[0]
        if port is not None:
            count = threading.Thread(
                target=backlog.keep, args=(counted, metrics.counted, stop), name="backlog", daemon=True
            )
            count.start()
        if leftovers is not None and not options.once:
            deletes = threading.Thread(target=keep, args=(leftovers, stop), name="leftovers", daemon=True)
            deletes.start()
        while not stop.requested:
            began = time.monotonic()
            try:
                done = watcher.scan()
            except (SourceError, HsdsError, InventoryError) as error:
                if options.once:
                    raise
                metrics.broke_off()
                event(logging.WARNING, "scan broke off", error=error)
            else:
                metrics.scanned(done, time.monotonic() - began)
                level = logging.INFO if done.news else logging.DEBUG
                counts = {name: count or None for name, count in asdict(done).items()}
                event(level, "scanned", **counts | {"listed": done.listed, "seconds": time.monotonic() - began})
            if options.once:
                if leftovers is not None:
                    leftovers.delete()
                break
            metrics.alive(rest=settings.watchdog_sleep_time)
            stop.wait(settings.watchdog_sleep_time)
    return 0


COMMAND = Command("Add the files of the source bucket to the inventory.", EXAMPLES, add_options, watch)
