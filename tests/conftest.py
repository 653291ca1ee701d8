"""Real servers for the tests: one S3 server, the cluster's HSDS, a loader's and a differ's own, once per run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bucket_loader.local_servers import POD_SETTINGS, HsdsServer, S3Server
from tests.world import PASSWORD, USER, Servers, World


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    root = tmp_path_factory.mktemp("servers")
    with S3Server(root) as s3:
        s3.make_bucket("target")
        with (
            HsdsServer(root, s3, "target", {USER: PASSWORD, "reader": "reader-word"}, "cluster") as cluster,
            HsdsServer(root, s3, "target", {USER: PASSWORD}, "pod", POD_SETTINGS) as pod,
            HsdsServer(root, s3, "target", {USER: PASSWORD}, "checker", POD_SETTINGS) as checker,
        ):
            yield Servers(root, s3, cluster, pod, checker)


@pytest.fixture
def world(servers: Servers, request: pytest.FixtureRequest) -> World:
    """A source bucket, a target folder and an inventory of this test's own."""
    return World.make(servers, request.node.name)
