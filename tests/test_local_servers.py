"""What the demo, the tests and the benchmarks start can be reached from this machine alone."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests.world import Servers


def own_address() -> str:
    """An address of this host that others may know it by."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a datagram socket sends nothing for this
        except OSError:
            pytest.skip("this host has no address but loopback: nobody else could reach it anyway")
        address = str(probe.getsockname()[0])
    if address.startswith("127."):
        pytest.skip("this host has no address but loopback: nobody else could reach it anyway")
    return address


def test_nothing_listens_to_other_hosts(servers: Servers) -> None:
    address = own_address()
    about = requests.get(f"{servers.cluster.endpoint}/about", timeout=10).json()
    urls = [servers.s3.endpoint, servers.cluster.endpoint, servers.pod.endpoint, *about["dn_urls"]]
    assert len(urls) == 4
    for url in urls:
        port = urlsplit(url).port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), timeout=10)
