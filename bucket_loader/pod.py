"""What a pod's process does: wait for the servers, then watch the bucket, or work in as many threads as are set."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from . import start, warm
from .config import Config
from .hsds import HsdsError
from .inventory import Inventory, InventoryError
from .jobs import Job, Servers
from .log import event
from .shutdown import Stop
from .source import Source, SourceError
from .tools import Tools
from .watch import Watcher
from .worker import Worker

MakeJob = Callable[[Config, Servers, Tools], Job]


def add_options(made: argparse.ArgumentParser) -> None:
    how = made.add_mutually_exclusive_group()
    how.add_argument("--drain", action="store_true", help="end when no row is left to work on")
    how.add_argument("--once", action="store_true", help="end after one row")


def work(options: argparse.Namespace, settings: Config, make_job: MakeJob) -> int:
    """Work until told to stop (or by --drain, --once until done); the exit status is 0."""
    with Stop(settings.shutdown_grace).on_signals() as stop:
        tools = Tools(settings, Source(settings))
        warm.get_ready()
        opened: list[Inventory] = []

        def ready() -> None:
            servers = Servers(settings, start.open_source(settings))
            servers.check()
            if not servers.cluster.exists(settings.tgt_folder):
                raise InventoryError(
                    f"there is no folder {settings.tgt_folder} on {settings.hsds_endpoint}: make it with "
                    f"'hstouch {settings.tgt_folder}', or change tgt_folder"
                )
            opened[:] = [start.open_inventory(servers.cluster, settings)]

        if not start.wait_for(ready, settings, stop):
            return 0
        workers = []
        for number in range(settings.workers):
            # sessions are not shared between threads: each worker has its own
            servers = Servers(settings, Source(settings))
            inventory = opened[0].clone(servers.cluster)
            name = settings.pod_name if settings.workers == 1 else f"{settings.pod_name}/{number}"
            workers.append(Worker(make_job(settings, servers, tools), inventory, settings, stop, name))
        if len(workers) == 1:
            workers[0].run(options.drain, options.once)
        else:
            _run_threads(workers, options)
        done, failed = sum(worker.finished for worker in workers), sum(worker.failed for worker in workers)
        event(logging.INFO, "stops", done=done, failed=failed)
    return 0


def _run_threads(workers: list[Worker], options: argparse.Namespace) -> None:
    threads = [threading.Thread(target=worker.run, args=(options.drain, options.once)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        # in slices: Python runs signal handlers in the main thread, and only between two of its steps
        while thread.is_alive():
            thread.join(0.5)


def watch(options: argparse.Namespace, settings: Config) -> int:
    """Scan the bucket until told to stop, with `watchdog_sleep_time` between two passes; the exit status.

    A pass that breaks off, because a server is away or refuses, is said and made again.
    """
    with Stop(settings.shutdown_grace).on_signals() as stop:
        opened: list[Watcher] = []

        def ready() -> None:
            source = start.open_source(settings)
            inventory = start.open_inventory(start.connect(settings), settings)
            opened[:] = [Watcher(source, inventory, settings.tgt_folder)]

        if not start.wait_for(ready, settings, stop):
            return 0
        watcher = opened[0]
        while not stop.requested:
            began = time.monotonic()
            try:
                done = watcher.scan()
            except (SourceError, HsdsError, InventoryError) as error:
                if options.once:
                    raise
                event(logging.WARNING, "scan broke off", error=error)
            else:
                level = logging.INFO if done.news else logging.DEBUG
                counts = {name: count or None for name, count in asdict(done).items()}
                event(level, "scanned", **counts | {"listed": done.listed, "seconds": time.monotonic() - began})
            if options.once:
                break
            stop.wait(settings.watchdog_sleep_time)
    return 0
