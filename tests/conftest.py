"""Real servers for the tests, once per run: S3, the cluster's HSDS, a loader's and a differ's own; one for copies."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from bucket_loader.config import ENGINES
from bucket_loader.local.servers import HSDS_VERSIONS, OWN_HSDS
from bucket_loader.log import LIBRARIES, logger
from tests.copies import VerifyServers, started
from tests.samples import write_base
from tests.world import TARGET, Servers, World

# how long an example takes says how busy the machine is
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", settings.get_profile("whole"), max_examples=15)
settings.load_profile("whole")


def pytest_addoption(parser: pytest.Parser) -> None:
    for of, what in (("cluster", "cluster's HSDS"), ("pod", "pods' own HSDS")):
        parser.addoption(f"--{of}-hsds", choices=HSDS_VERSIONS, default=OWN_HSDS, help=f"the version of the {what}")
    parser.addoption("--engine", choices=ENGINES, default="", help="load_engine of the tests that do not set it")


@pytest.fixture(scope="session")
def servers(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config, quick_cluster: bool
) -> Iterator[Servers]:
    versions = (pytestconfig.getoption("--cluster-hsds"), pytestconfig.getoption("--pod-hsds"))
    with Servers.started(tmp_path_factory.mktemp("servers"), *versions, quick=quick_cluster) as started:
        yield started


@pytest.fixture(scope="session")
def quick_cluster() -> bool:
    return True


@pytest.fixture
def world(servers: Servers, request: pytest.FixtureRequest) -> World:
    """A source bucket, a target folder and an inventory of this test's own."""
    made = World.make(servers, request.node.name)
    if engine := request.config.getoption("--engine"):
        made.settings |= {"load_engine": engine, "tgt_bucket": TARGET}
    return made


@pytest.fixture(scope="session")
def verify_servers(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[VerifyServers]:
    with started(tmp_path_factory.mktemp("verify-servers"), pytestconfig.getoption("--cluster-hsds")) as servers:
        yield servers


@pytest.fixture(scope="session")
def base_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base") / "base.h5"
    write_base(path)
    return path


@pytest.fixture(scope="session")
def base_domains(verify_servers: VerifyServers, base_file: Path) -> dict[str, str]:
    """By hsload, and by the direct engine."""
    modes = ("link", "ingest")
    by_hsload = {mode: verify_servers.load(base_file, mode) for mode in modes}
    return by_hsload | {f"direct {mode}": verify_servers.write(base_file, mode)[0] for mode in modes}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A place for log lines; the loggers are afterwards as before."""
    loggers = [logger, *map(logging.getLogger, LIBRARIES)]
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers]
    yield io.StringIO()
    for one, handlers, level, propagate in before:
        one.handlers[:], one.level, one.propagate = handlers, level, propagate
