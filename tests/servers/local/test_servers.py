"""What the demo, the tests and the benchmarks start can be reached from this machine alone."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

import psutil
import pytest
import requests

from tests.world import Servers


def own_addresses() -> list[str]:
    """The addresses of this host that others may know it by, of both kinds."""
    found = [address.address for card in psutil.net_if_addrs().values() for address in card]
    hosts = [ip for ip in map(_ip, found) if ip and not ip.is_loopback and not ip.is_link_local]
    if not hosts:
        pytest.skip("this host has no address but loopback: nobody else could reach it anyway")
    return [str(ip) for ip in hosts]


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None  # of a card, not of the host


def test_nothing_listens_to_other_hosts(servers: Servers) -> None:
    about = requests.get(f"{servers.cluster.endpoint}/about", timeout=10).json()
    urls = [servers.s3.endpoint, servers.cluster.endpoint, servers.pod.endpoint, *about["dn_urls"]]
    assert len(urls) == 4
    for url in urls:
        address_given, port = urlsplit(url).hostname, urlsplit(url).port
        # "localhost" could be [::1], where somebody else's server may listen and be given the password
        assert address_given == "127.0.0.1" and port is not None
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        for address in own_addresses():
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=10)
