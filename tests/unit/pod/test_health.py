"""Whether a hung worker is found out, and a slow one left alone."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from bucket_loader.config import Config
from bucket_loader.errors import OperatorError
from bucket_loader.local.servers import free_port
from bucket_loader.pod import process
from bucket_loader.pod.health import Pulse, served
from bucket_loader.pod.metrics import WorkerMetrics
from bucket_loader.pod.stop import Stop


def get(port: int, path: str = "/healthz", timeout: float = 5) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_answers_on_addresses_of_both_families(address: str) -> None:
    if ":" in address and not socket.has_dualstack_ipv6():
        pytest.skip("NO IPv6 on this machine")
    with served(0, Pulse(1), CollectorRegistry()) as port, socket.create_connection((address, port), 5) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.makefile("rb").readline().split()[1] == b"200"


# -- the pulse ---------------------------------------------------------------------------------------------------------


def test_nobody_who_works_is_nobody_who_hangs() -> None:
    assert Pulse(1).stuck() == []
    assert Pulse(1).silence() == 0


def test_the_most_silent_thread_counts() -> None:
    pulse = Pulse(0.2)
    release = threading.Event()

    def hang() -> None:
        pulse.beat()
        release.wait(10)

    thread = threading.Thread(target=hang, name="worker 1")
    thread.start()
    time.sleep(0.4)
    pulse.beat()
    (line,) = pulse.stuck()
    assert line.startswith("worker 1 has made no progress for 0 s, ")
    assert pulse.silence() > 0.3
    release.set()
    thread.join()
    assert pulse.stuck()[0].endswith("it ended with an error"), "one that ended without a word is missed, too"


def test_a_pause_that_was_announced_is_no_silence() -> None:
    pulse = Pulse(0.1)
    pulse.beat(rest=60)
    time.sleep(0.2)
    assert pulse.stuck() == []
    pulse.beat()
    time.sleep(0.2)
    assert len(pulse.stuck()) == 1
    pulse.end()
    assert pulse.stuck() == []


# -- the endpoint ------------------------------------------------------------------------------------------------------


def test_endpoint_answers_and_goes() -> None:
    port = free_port()
    with served(port, Pulse(60), CollectorRegistry()) as taken:
        assert taken == port
        assert get(port) == (200, "ok\n")
        assert get(port, "/metrics")[0] == 200
        assert get(port, "/other") == (404, "there are /healthz, /readyz and /metrics\n")
    with pytest.raises(OSError):
        get(port)
    with served(None, Pulse(60), CollectorRegistry()) as taken:
        assert taken is None


def test_a_pod_is_ready_when_it_has_found_its_servers() -> None:
    port = free_port()
    metrics = WorkerMetrics(Pulse(60))
    settings = Config.model_validate(
        {"hsds_endpoint": "http://e", "src_bucket": "a", "tgt_folder": "/c/", "inventory_domain": "/d/i.h5"}
    )
    seen = []

    def servers() -> None:
        seen.append(get(port, "/readyz"))
        assert get(port) == (200, "ok\n"), "it waits, and is not stuck"
        if len(seen) == 1:
            raise OperatorError("HSDS is away")

    with served(port, metrics.pulse, metrics.registry), Stop(1).on_signals() as stop:
        assert process.wait_for(servers, settings, stop, metrics)
        assert seen == [(503, "waits for its servers; the log says for which\n")] * 2
        assert get(port, "/readyz") == (200, "ok\n")


def test_a_client_that_says_nothing_keeps_nobody_from_asking() -> None:
    port = free_port()
    with served(port, Pulse(60), CollectorRegistry()), socket.create_connection(("127.0.0.1", port)):
        assert get(port)[0] == 200
