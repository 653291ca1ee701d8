"""The whole path with the real scripts as processes: bucket to inventory to domain to verdict."""

from __future__ import annotations

import io
import json
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import h5py
import h5pyd
import numpy as np
import pytest

from bucket_loader.inventory.states import State
from bucket_loader.local.servers import LOADER_SETTINGS, POD_SETTINGS, HsdsServer
from tests import files
from tests.independent import compare_at
from tests.s3_proxy import s3_proxy
from tests.waiting import until
from tests.world import PASSWORD, USER, World

pytestmark = pytest.mark.servers
SAMPLED = ", and by samples through the cluster's HSDS"


def opened(
    world: World, key: str, endpoint: str, user: str | None = USER, password: str | None = PASSWORD
) -> h5pyd.File:
    return h5pyd.File(world.folder + key, "r", endpoint=endpoint, username=user, password=password)


@pytest.mark.parametrize("link", [True, pytest.param(False, marks=pytest.mark.long)], ids=["link", "ingest"])
def test_every_kind_of_file_ends_in_a_state_that_is_true(world: World, link: bool) -> None:
    world.settings = {"link_files": link, "workers": 2, "public_read": True}
    for key, body in (files.GOOD | files.BROKEN).items():
        world.put(key, body)
    made = world.ok("make_inventory.py")
    assert made.startswith(f"made {world.inventory_domain} on {world.servers.cluster.endpoint}, readable by everyone")
    world.ok("watcher.py", "--once")
    log = world.ok("loader.py", "--drain", timeout=280)
    world.ok("differ.py", "--drain", timeout=280)
    rows = world.rows()
    assert set(rows) == set(files.GOOD) | set(files.BROKEN)
    for key in files.BROKEN:
        assert (rows[key]["state"], rows[key]["loadstatus"]) == ("load failed", 2)
        assert "Unable to synchronously open file" in rows[key]["loadreason"]
        assert world.cluster.root_of(world.folder + key) is None, "a failed load leaves no domain"
    for key in files.GOOD:
        assert rows[key]["state"] == "verified", rows[key]
        # hsdiff alone calls these good copies different
        false_alarm = key in ("nan.h5", "no_elements.h5", "references.h5")
        assert rows[key]["diffresult"].startswith(
            f"PASSED by full comparison{SAMPLED}; hsdiff: " if false_alarm else "PASSED"
        )
        assert rows[key]["loadmode"] == ("link" if link else "ingest")
        assert rows[key]["loadpodname"] in {f"pod-1/{thread}" for thread in range(4)}
    assert log.count("load begins") == len(rows)
    with opened(world, "chunked.h5", world.servers.cluster.endpoint, None, None) as file:  # public_read
        assert (file["data"][...] == np.arange(6000).reshape(60, 100)).all()
    summary = world.ok("dump_inventory.py", "--summary")
    assert "verified" in summary and str(len(files.GOOD)) in summary


@pytest.mark.long
def test_what_cannot_be_linked_is_ingested(world: World) -> None:
    for key, body in files.UNLINKABLE.items():
        world.put(key, body)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain", "--link_fallback=fail")
    for row in world.rows().values():
        assert row["state"] == "load failed", row
    world.ok("reset_inventory.py", "--failed", "--yes")
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain", "--diff_method=verify")
    for row in world.rows().values():
        assert (row["state"], row["diffresult"]) == ("verified", "PASSED by full comparison" + SAMPLED), row
        assert row["loadmode"] in ("ingest", "unfilt")
    with opened(world, "lossless_offset.h5", world.servers.cluster.endpoint) as file:
        assert (file["data"][...] == np.arange(2000)).all()


def test_a_link_load_reads_a_few_per_cent_of_a_file(world: World, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "large.h5", "w") as file:
        noise = np.random.default_rng(1).integers(0, 2**31, (64, 128, 2048), dtype="i4")
        file.create_dataset("data", data=noise, chunks=(1, 128, 2048))
        file["data"].attrs["units"] = "K"
    size = (tmp_path / "large.h5").stat().st_size
    world.put("large.h5", tmp_path / "large.h5")
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (proxy, endpoint):
        world.settings = {"aws_s3_gateway": endpoint}
        world.ok("loader.py", "--once")
        assert world.rows()["large.h5"]["state"] == "loaded"
        assert proxy.sent < size * 0.05, f"{proxy.sent} of {size} bytes"


@pytest.mark.long
def test_a_file_that_changed_after_its_load_is_loaded_and_seen_anew(world: World) -> None:
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    for script in ("watcher.py", "loader.py", "differ.py"):
        world.ok(script, "--once")
    assert world.rows()["a.h5"]["state"] == "verified"
    with opened(world, "a.h5", world.servers.cluster.endpoint) as file:
        assert file["number"][()] == 42.5
    world.put("a.h5", files.GOOD["chunked.h5"])
    assert "changed=1" in world.ok("watcher.py", "--once")
    assert world.rows()["a.h5"]["state"] == "new"
    world.ok("loader.py", "--drain")
    with opened(world, "a.h5", world.servers.cluster.endpoint) as file:
        assert list(file) == ["data"], "the cluster's HSDS had the old domain in its cache"
    world.ok("differ.py", "--drain")
    row = world.rows()["a.h5"]
    assert (row["state"], row["version"], row["loadversion"]) == ("verified", 1, 1)


@pytest.mark.long
def test_pods_that_load_a_file_in_turns_do_not_meet_what_they_remember(world: World) -> None:
    """A loader's HSDS keeps for a minute what it wrote; another pod may have replaced it meanwhile."""
    versions = ["scalar.h5", "chunked.h5", "compressed.h5", "scalar.h5"]
    root, s3 = world.servers.root, world.servers.s3
    world.make_inventory()
    with ExitStack() as stack:
        pods = [
            stack.enter_context(HsdsServer(root, s3, "target", {USER: PASSWORD}, f"turn-{number}", LOADER_SETTINGS))
            for number in range(2)
        ]
        for turn, name in enumerate(versions):
            world.put("a.h5", files.GOOD[name])
            world.scan()
            world.ok("loader.py", "--drain", f"--hsds_local={pods[turn % 2].endpoint}")
            compare_at(files.GOOD[name], f"{world.folder}a.h5", world.servers.cluster.endpoint, PASSWORD)
            row = world.rows()["a.h5"]
            assert (row["state"], row["loadversion"], row["loadattempts"]) == ("loaded", turn, 1)
        world.ok("differ.py", "--drain")
        assert world.rows()["a.h5"]["state"] == "verified"


@pytest.mark.long
def test_an_ingest_reads_each_byte_once(world: World) -> None:
    """The index of the chunks lies between them: a reader that only reads ahead loses its place at each look there."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        noise = np.random.default_rng(0).random((256, 16 * 512))
        file.create_dataset("data", data=noise, chunks=(1, 16 * 512))
    world.put("a.h5", body.getvalue())
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (store, gateway):
        world.ok("loader.py", "--once", f"--aws_s3_gateway={gateway}", "--link_files=false")
        assert world.rows()["a.h5"]["loadmode"] == "ingest"
        size = len(body.getvalue())
        assert store.sent < 1.1 * size, f"{store.sent} of {size} bytes"


@pytest.mark.long
def test_keys_with_odd_characters_become_domains(world: World) -> None:
    keys = ["it's/größe + 50%25 #1?x=y&z.h5", '[a]*{b}/say "hi".h5', "温度/" + "/".join(["k" * 100] * 8) + ".h5"]
    for key in keys:
        world.put(key, files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    assert {key: row["state"] for key, row in world.rows().items()} == dict.fromkeys(keys, "verified")


@pytest.mark.long
def test_a_private_load_can_be_read_by_its_owner_alone(world: World) -> None:
    world.settings = {"public_read": False}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    with opened(world, "a.h5", world.servers.cluster.endpoint) as file:
        assert "number" in file
    with pytest.raises(OSError, match=r"403|Forbidden"):
        opened(world, "a.h5", world.servers.cluster.endpoint, "reader", "reader-word")


@pytest.mark.long
def test_what_was_marked_loaded_survives_the_death_of_the_pods_hsds(world: World) -> None:
    world.put("a.h5", files.GOOD["many_objects.h5"])
    world.make_inventory()
    world.scan()
    with world.running("loader.py") as loader:
        inventory = world.inventory()
        until(lambda: inventory.row(0).state is State.LOADED, pause=0.02)
        world.servers.pod.dn.kill()
        world.servers.pod.sn.kill()
        loader.terminate()
        loader.wait(30)
    try:
        assert world.rows()["a.h5"]["state"] == "loaded"
        with opened(world, "a.h5", world.servers.cluster.endpoint) as file:
            assert [file[f"group{number:02}/value"][()] for number in range(20)] == list(range(20))
    finally:
        world.servers.pod.restart()


@pytest.mark.long
def test_a_file_that_takes_too_long_is_ended_and_the_worker_lives_on(world: World) -> None:
    world.settings = {"load_time_limit": 1, "max_attempts": 2}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (store, endpoint):
        store.fault = "slow"
        log = world.ok("loader.py", "--drain", f"--aws_s3_gateway={endpoint}")
    row = world.rows()["a.h5"]
    assert (row["state"], row["loadattempts"]) == ("load failed", 1), "it would take as long the next time"
    assert row["loadreason"].startswith("took too long: ended after 1 s (load_time_limit)")
    assert log.count("load begins") == 1


@pytest.mark.long
def test_the_programs_of_a_check_share_its_time(world: World, tmp_path: Path) -> None:
    tool = tmp_path / "my-hsdiff"
    tool.write_text("#!/bin/sh\nsleep 4\necho different\nexit 1\n")
    tool.chmod(0o755)
    world.settings = {"diff_time_limit": 5, "hsdiff": tool}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    with s3_proxy(world) as (store, endpoint):
        store.fault = "slow"  # a comparison alone takes two requests of 1.5 s: more than is left
        world.ok("differ.py", "--drain", f"--aws_s3_gateway={endpoint}")
    row = world.rows()["a.h5"]
    assert (row["state"], row["diffattempts"]) == ("check failed", 1)
    assert row["diffresult"].startswith("took too long: ended after 5 s (diff_time_limit)")


@pytest.mark.long
@pytest.mark.parametrize(
    ("link", "method", "state"),
    [(False, "verify", "load failed"), (True, "hsdiff", "check failed"), (True, "both", "verified")],
)
def test_a_file_that_takes_too_much_memory_fails_at_once_and_the_worker_lives_on(
    world: World, link: bool, method: str, state: str
) -> None:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        # hsload reads a chunk at a time, hsdiff all that has none; the full comparison reads both in pieces
        file.create_dataset("data", data=np.ones((90, 1024, 1024), "u1"), chunks=None if link else (90, 1024, 1024))
    world.settings = {"link_files": link, "workers": 2, "diff_method": method, "child_memory_limit": "280m"}
    for key, content in {"a.h5": files.GOOD["scalar.h5"], "big.h5": body.getvalue()}.items():
        world.put(key, content)
    world.make_inventory()
    world.scan()
    world.ok("loader.py", "--drain")
    world.ok("differ.py", "--drain")
    rows = world.rows()
    assert (rows["a.h5"]["state"], rows["big.h5"]["state"]) == ("verified", state)
    reason = rows["big.h5"]["diffresult" if link else "loadreason"]
    assert "ran out of memory: a child may have 280m (child_memory_limit)" in reason
    assert max(rows["big.h5"][attempts] for attempts in ("loadattempts", "diffattempts")) == 1


@pytest.mark.long
def test_another_program_can_take_the_place_of_hsload_and_gets_no_secret_by_its_arguments(
    world: World, tmp_path: Path
) -> None:
    tool = tmp_path / "my-hsload"
    tool.write_text(
        f'#!/bin/sh\nprintf \'%s\\n\' "$@" > {tmp_path}/arguments\nenv > {tmp_path}/env\nexec hsload "$@"\n'
    )
    tool.chmod(0o755)
    world.settings = {"hsload": str(tool)}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    log = world.ok("loader.py", "--once")
    assert world.rows()["a.h5"]["state"] == "loaded"
    secrets = (PASSWORD, world.servers.s3.secret_key)
    for secret in secrets:
        assert secret not in (tmp_path / "arguments").read_text()
        assert secret not in log
    env = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert env["HS_ENDPOINT"] == world.servers.pod.endpoint
    assert env["HS_PASSWORD"] == PASSWORD
    assert json.loads(env["FSSPEC_S3"])["endpoint_url"] == world.servers.s3.endpoint


@pytest.mark.long
def test_a_loader_that_is_told_to_stop_gives_its_row_back(world: World, tmp_path: Path) -> None:
    tool, begun = tmp_path / "slow", tmp_path / "begun"
    tool.write_text(f"#!/bin/sh\ntouch '{begun}'\nsleep 60\n")
    tool.chmod(0o755)
    world.settings = {"hsload": str(tool), "shutdown_grace": 1}
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    with world.running("loader.py") as loader:
        until(begun.exists)
        loader.send_signal(signal.SIGTERM)
        output, _ = loader.communicate(timeout=30)
    assert loader.returncode == 0
    assert "load called off key=a.h5 row=0 attempt=1 outcome=new" in output
    row = world.rows()["a.h5"]
    assert (row["state"], row["loadattempts"], row["loadpodname"]) == ("new", 0, "")


@pytest.mark.long
def test_a_server_that_goes_away_fails_no_file(world: World) -> None:
    for number in range(2):
        world.put(f"{number}.h5", files.GOOD["scalar.h5"])
    world.make_inventory()
    world.scan()
    world.servers.pod.dn.kill()
    world.servers.pod.sn.kill()
    try:
        with world.running("loader.py", "--drain") as loader:
            time.sleep(4)
            assert loader.poll() is None
            assert {row["loadattempts"] for row in world.rows().values()} == {0}
            world.servers.pod.restart()
            output, _ = loader.communicate(timeout=120)
    finally:
        world.servers.pod.restart()
    assert f"waiting: HSDS at {world.servers.pod.endpoint} is not READY" in output
    assert {row["state"] for row in world.rows().values()} == {"loaded"}


@pytest.mark.long
def test_a_store_that_is_slower_than_hsload_is_waited_for(world: World) -> None:
    """HSDS takes a load into its memory; to write it out may take longer than one request for a flush has."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file["data"] = np.random.default_rng(0).random(50_000)
    world.put("a.h5", body.getvalue())
    world.make_inventory()
    world.scan()
    with s3_proxy(world) as (store, gateway):
        settings = POD_SETTINGS | {"aws_s3_gateway": gateway}
        with HsdsServer(world.servers.root, world.servers.s3, "target", {USER: PASSWORD}, "slow", settings) as pod:
            store.fault = "stall"
            env = {"HSDS_LOCAL": pod.endpoint, "LINK_FILES": "false", "LEASE_TIME": "60"}
            with world.running("loader.py", "--once", env=env) as loader:
                time.sleep(45)
                assert world.rows()["a.h5"]["state"] == "loading"
                store.fault = ""
                log = loader.communicate(timeout=60)[0]
    row = world.rows()["a.h5"]
    assert (row["state"], row["loadattempts"]) == ("loaded", 1), log
    assert log.count("load begins") == 1
