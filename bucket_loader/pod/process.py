"""What a pod's process does: wait for its servers, then work in as many threads as are set."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Callable

from ..children import forkserver
from ..children.tool import Tools
from ..config import Config
from ..errors import OperatorError
from ..inventory.claims import Inventory
from ..inventory.table import InventoryError
from ..log import event
from ..s3 import Source, open_source
from .health import Pulse, served
from .job import JobType
from .metrics import WorkerMetrics
from .observer import Observer
from .servers import Servers
from .slots import Slots
from .stop import Stop
from .worker import Worker


def add_options(made: argparse.ArgumentParser) -> None:
    how = made.add_mutually_exclusive_group()
    how.add_argument("--drain", action="store_true", help="end when no row is left to work on")
    how.add_argument("--once", action="store_true", help="end after one row")


def work(options: argparse.Namespace, settings: Config, job: JobType) -> int:
    """Work until told to stop (or by --drain, --once until done).

    The exit status is 0, or 1 when a worker ended by an error that nobody foresaw.
    """
    metrics = WorkerMetrics(Pulse(settings.stuck_after))
    with (
        Stop(settings.shutdown_grace).on_signals() as stop,
        served(settings.metrics_port, metrics.pulse, metrics.registry),
    ):
        tools = Tools(settings, Source(settings))
        forkserver.get_ready()
        inventory = _opened(settings, job, stop, metrics)
        if inventory is None:
            return 0
        slots, count = Slots(settings.workers), _threads(options, settings, job)
        workers = []
        for number in range(count):
            # sessions are not shared between threads: each worker has its own
            servers = Servers(settings, Source(settings, metrics.alive), metrics.alive)
            own = inventory.clone(servers.cluster)
            name = settings.pod_name if count == 1 else f"{settings.pod_name}/{number}"
            work_of = job(settings, servers, tools, own)
            workers.append(Worker(work_of, own, settings, stop, name, metrics, slots.share()))
        broken = 0
        if len(workers) == 1:
            workers[0].run(options.drain, options.once)
        else:
            broken = _run_threads(workers, options, metrics)
        done, failed = sum(worker.finished for worker in workers), sum(worker.failed for worker in workers)
        event(logging.INFO, "stops", done=done, failed=failed, broken=broken or None)
    return 1 if broken else 0


def _opened(settings: Config, job: JobType, stop: Stop, observer: Observer) -> Inventory | None:
    """The inventory, when all that the work needs is there; None when told to stop first."""
    opened: list[Inventory] = []

    def ready() -> None:
        servers = Servers(settings, open_source(settings))
        servers.check()
        if not servers.cluster.exists(settings.tgt_folder):
            raise InventoryError(
                f"there is no folder {settings.tgt_folder} on {settings.hsds_endpoint}: make it with "
                f"'hstouch {settings.tgt_folder}', or change tgt_folder"
            )
        inventory = Inventory.open(servers.cluster, settings.inventory_domain)
        job.prepare(settings, servers, inventory)
        opened[:] = [inventory]

    return opened[0] if wait_for(ready, settings, stop, observer) else None


def _threads(options: argparse.Namespace, settings: Config, job: JobType) -> int:
    """How many workers: two for each slot, where one may load while the other waits for what it loaded."""
    if options.once:
        return 1
    return 2 * settings.workers if job.overlaps_flush else settings.workers


def _run_threads(workers: list[Worker], options: argparse.Namespace, metrics: WorkerMetrics) -> int:
    """Run each worker in a thread; returns how many of them ended by an error that nobody foresaw."""
    errors: list[Exception] = []

    def run(worker: Worker) -> None:
        try:
            worker.run(options.drain, options.once)
        except Exception as error:
            # said at once: the others may go on for days, and this thread is missed by the pulse
            event(logging.ERROR, "a worker broke off", error=f"{type(error).__name__}: {error}", pod=worker.name)
            event(logging.DEBUG, "broke off", trace=True)
            errors.append(error)
        else:
            metrics.pulse.end()

    threads = [
        threading.Thread(target=run, args=(worker,), name=f"worker {number}") for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        # in slices: Python runs signal handlers in the main thread, and only between two of its steps
        while thread.is_alive():
            metrics.alive()
            thread.join(0.5)
    return len(errors)


def wait_for(what: Callable[[], None], settings: Config, stop: Stop, observer: Observer) -> bool:
    """Call `what` until it raises none of the expected errors; False when told to stop first.

    A pod that starts before its server, its inventory or its bucket waits and says for what. After `ready_timeout`
    the last error is raised.
    """
    deadline = time.monotonic() + settings.ready_timeout
    said, pause = "", 1.0
    while not stop.requested:
        observer.alive()
        try:
            what()
            observer.found_servers()
            return True
        except OperatorError as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != said:
                said = str(error)
                event(logging.WARNING, "waiting", error=said)
        stop.wait(pause)
        pause = min(pause * 1.5, 10.0)
    return False
