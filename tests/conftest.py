"""Real servers for the tests: one S3 server, the cluster's HSDS, a loader's and a differ's own, once per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world import Servers, World


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers.started(tmp_path_factory.mktemp("servers")) as started:
        yield started


@pytest.fixture
def world(servers: Servers, request: pytest.FixtureRequest) -> World:
    """A source bucket, a target folder and an inventory of this test's own."""
    return World.make(servers, request.node.name)
