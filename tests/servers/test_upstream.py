"""The defects of HSDS and h5pyd that are worked around here are still there: docs/upstream has a script for each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bucket_loader.hsds import Hsds
from bucket_loader.local.servers import HsdsServer, S3Server
from tests.world import PASSWORD, ROOT, USER

pytestmark = pytest.mark.servers
SCRIPTS = ROOT / "docs" / "upstream"
# a 0.9.4 whose data node writes objects 30 s after their last change, not one: a busy machine takes that to end hsload
WAITS = "0.9.4 that waits"
# by the versions of HSDS that write and read; what a version does not have is in the other list
SEEN = {
    "shuffle_without_gzip": [("0.9.4", "0.9.4")],
    "small_chunks_of_0_9": [("0.9.4", "1.0.2")],
    "contiguous_link": [("1.0.2", "1.0.2")],
    "names_with_question_mark": [("0.9.4", "0.9.4")],
    "hsdiff_status": [("0.9.4", "0.9.4")],
    "hsdiff_nan": [("0.9.4", "0.9.4")],
    "row_limit": [("0.9.4", "0.9.4")],
    "contiguous_at_the_end": [("0.9.4", "0.9.4")],
    "many_linked_chunks": [("0.9.4", "0.9.4")],
    "fastlink": [("0.9.4", "0.9.4"), ("1.0.2", "1.0.2")],
    "hsload_without_flush": [(WAITS, "0.9.4")],
    "array_type": [("0.9.4", "0.9.4")],
    "single_member": [("0.9.4", "0.9.4"), ("1.0.2", "1.0.2")],
    "listens_everywhere": [("0.9.4", "0.9.4")],
    "newer_python": [("0.9.4", "0.9.4")] if sys.version_info >= (3, 13) else [],
    "update_where_of_1_0": [("1.0.2", "1.0.2")] if sys.version_info >= (3, 11) else [],
}
GONE = {
    "contiguous_link": [("0.9.4", "0.9.4")],
    "many_linked_chunks": [("1.0.2", "1.0.2")],
    "array_type": [("1.0.2", "1.0.2")],
    "newer_python": [] if sys.version_info >= (3, 13) else [("0.9.4", "0.9.4")],
}
# scripts that want another h5pyd have an environment of their own (make setup)
PYTHONS = {"update_where_of_1_0": Path(sys.prefix) / "h5pyd-1.0" / "bin" / "python"}


@dataclass(frozen=True)
class Endpoints:
    """By version of HSDS: a writer's and a reader's."""

    of: dict[str, list[str]]
    store: dict[str, str]


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    """A writer and a reader of each version, on one bucket, and the environment for the store."""
    root, users = tmp_path_factory.mktemp("upstream"), {USER: PASSWORD}
    with S3Server(root) as s3, ExitStack() as stack:
        s3.make_bucket("target")
        s3.make_bucket("source")
        found = {}
        for name in ("0.9.4", "1.0.2", WAITS):
            settings = {"dn_max_retries": 1} | ({"s3_age_time": 30} if name == WAITS else {})
            version = name.split()[0]
            servers = [
                HsdsServer(root, s3, "target", users, f"{kind}-{name}", settings, version=version)
                for kind in ("writer", "reader")
            ]
            found[name] = [stack.enter_context(server).endpoint for server in servers]
        Hsds(found["0.9.4"][0], USER, PASSWORD).make_folders(f"/home/{USER}/")
        yield Endpoints(found, s3.env() | {"AWS_ENDPOINT_URL": s3.endpoint, "S3_BUCKET": "source"})


def status(name: str, writer: str, reader: str, store: dict[str, str]) -> tuple[int, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HS_", "AWS_"))}
    env |= {"HS_ENDPOINT": writer, "HS_ENDPOINT_2": reader, "HS_USERNAME": USER, "HS_PASSWORD": PASSWORD}
    env |= store
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    argv = [PYTHONS.get(name, sys.executable), SCRIPTS / f"{name}.py"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", SEEN)
def test_a_defect_is_there_and_its_script_shows_it(endpoints: Endpoints, name: str) -> None:
    for versions, expected in [(item, 1) for item in SEEN[name]] + [(item, 0) for item in GONE.get(name, [])]:
        found, said = status(name, endpoints.of[versions[0]][0], endpoints.of[versions[1]][1], endpoints.store)
        assert found == expected and "Traceback" not in said, f"{name} with {versions}: {said}"


def test_each_script_is_run_and_listed() -> None:
    scripts = {path.stem for path in SCRIPTS.glob("*.py")}
    listed = (SCRIPTS / "README.md").read_text()
    assert scripts == set(SEEN)
    for name in scripts:
        assert f"[{name}.py]({name}.py)" in listed
