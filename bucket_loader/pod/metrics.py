"""The metrics of a pod, in the Prometheus client's own types; names and labels are those of docs/kubernetes.md.

A registry belongs to a `Metrics` object, of which a process has one for all of its threads: nothing is made by
importing this module. What has not been counted yet is not shown: an autoscaler would take a 0 for an empty inventory.
"""

from __future__ import annotations

from collections.abc import Mapping

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from .. import __version__
from ..inventory.states import CHECK, LOAD, Work
from .health import Pulse
from .observer import AttemptEnd, Observer

PREFIX = "bucket_loader"
# a small file takes a second or two, a large one hours: load_time_limit is 6 hours
FILE_SECONDS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600)


class LateGauge:
    """A gauge that is not shown before it is known: an alert would take 0 for a time of long ago."""

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._gauge, self._registry, self._shown = Gauge(name, text, registry=None), registry, False

    def set(self, value: float) -> None:
        self._gauge.set(value)
        if not self._shown:
            self._registry.register(self._gauge)
            self._shown = True


class Metrics(Observer):
    """What every pod tells: its version, its process, its pulse."""

    def __init__(self, pulse: Pulse) -> None:
        # else each counter has a second line with the time of its making
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.pulse = pulse
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._info("build", "Version of the program.").info({"version": __version__})
        silence = self._gauge("silent_seconds", "Seconds since the last sign of life of the most silent thread.")
        silence.set_function(pulse.silence)

    def alive(self, rest: float = 0.0) -> None:
        self.pulse.beat(rest)

    def found_servers(self) -> None:
        self.pulse.is_ready = True

    def silence(self, thread: int) -> float:
        return self.pulse.silence_of(thread)

    def _info(self, name: str, text: str) -> Info:
        return Info(f"{PREFIX}_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _late_gauge(self, name: str, text: str) -> LateGauge:
        return LateGauge(f"{PREFIX}_{name}", text, self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)


class WorkerMetrics(Metrics):
    """What a loader or a differ tells."""

    def __init__(self, pulse: Pulse) -> None:
        super().__init__(pulse)
        self._attempts = self._counter("attempts_total", "Rows that were claimed.", "work")
        self._files = self._counter("files_total", "Attempts that ended, by what became of the row.", "work", "outcome")
        self._bytes = self._counter("file_bytes_total", "Bytes of the source files that were done.", "work")
        self._seconds = Histogram(
            f"{PREFIX}_file_seconds",
            "Seconds from claim to finish of files that were done or failed.",
            ["work"],
            buckets=FILE_SECONDS,
            registry=self.registry,
        )
        self._running = self._gauge("files_in_work", "Rows that this pod holds.", "work")
        self._away = self._counter("away_total", "Turns of a worker that ended because a server was away.")
        self._requests = self._counter("store_requests_total", "Requests of direct loads for objects of S3.", "method")
        self._moved = self._counter("store_bytes_total", "Bytes of these requests.", "method")
        self._retries = self._counter("store_retries_total", "Requests that were made again.")
        for method in ("get", "put"):
            self._requests.labels(method)
            self._moved.labels(method)
        for work in (LOAD, CHECK):  # a counter that is there from the start has a rate from its first event on
            for metric in (self._attempts, self._bytes, self._seconds, self._running):
                metric.labels(work.name)
            for ending in AttemptEnd:
                self._files.labels(work.name, ending.value)

    def begins(self, work: Work) -> None:
        self._attempts.labels(work.name).inc()
        self._running.labels(work.name).inc()

    def ends(self, work: Work, ending: AttemptEnd, seconds: float, size: int) -> None:
        self._running.labels(work.name).dec()
        self._files.labels(work.name, ending.value).inc()
        if ending in (AttemptEnd.DONE, AttemptEnd.FAILED):
            self._seconds.labels(work.name).observe(seconds)
        if ending is AttemptEnd.DONE:
            self._bytes.labels(work.name).inc(size)

    def transferred(self, traffic: Mapping[str, int]) -> None:
        for method, count, size in (("put", "puts", "put_bytes"), ("get", "gets", "got_bytes")):
            self._requests.labels(method).inc(traffic.get(count, 0))
            self._moved.labels(method).inc(traffic.get(size, 0))
        self._retries.inc(traffic.get("retries", 0))

    def away(self) -> None:
        self._away.inc()
