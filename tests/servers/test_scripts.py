"""What the screen says: help, mistakes of operators, exit statuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests import files
from tests.unit.test_scripts import SCRIPTS
from tests.world import ROOT, USER, World


@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_settings_end_with_2_and_one_message(script: str, world: World) -> None:
    done = world.run(script, env={"WORKERS": "many", "HSDS_ENDPOINT": "hsds"})
    assert done.returncode == 2
    assert "workers: 'many' (in the environment) must be a whole number" in done.stderr
    assert "hsds_endpoint: 'hsds' (in the environment) must start with http://" in done.stderr


def test_the_first_line_is_the_settings_with_secrets_masked(world: World) -> None:
    world.ok("make_inventory.py")
    first = world.ok("watcher.py", "--once").splitlines()[0]
    shown = json.loads(first[first.index("{") :])
    assert shown["src_bucket"] == world.bucket and shown["hs_password"] == "**********"


def test_a_desktop_command_shows_its_settings_when_asked_and_keeps_its_output_clean(world: World) -> None:
    world.ok("make_inventory.py")
    done = world.run("dump_inventory.py", "--json", "--log_level=DEBUG")
    assert "dump_inventory.py" in done.stderr.splitlines()[0] and '"hs_password": "**********"' in done.stderr
    assert done.stdout == ""


def test_the_inventory_is_read_by_its_owner_alone_unless_public_read_is_on(world: World) -> None:
    made = world.ok("make_inventory.py", "--public_read=true")
    assert "readable by everyone" in made
    nobody = {"HS_USERNAME": "reader", "HS_PASSWORD": "reader-word"}
    assert world.run("dump_inventory.py", env=nobody).returncode == 0
    made = world.ok("make_inventory.py", "--force")
    assert f"readable by {USER} alone (public_read)" in made
    assert f"readers='{USER} alone'" in world.ok("watcher.py", "--once").splitlines()[0]
    done = world.run("dump_inventory.py", env=nobody)
    assert done.returncode == 1 and "user 'reader' may not do this" in done.stderr


def test_make_inventory_names_a_missing_folder(world: World) -> None:
    done = world.run("make_inventory.py", "--inventory_domain=/home/nobody/inventory.h5")
    assert done.returncode == 1
    assert "there is no folder /home/nobody/ on " in done.stderr and "hstouch /home/nobody/" in done.stderr


def test_make_inventory_names_a_wrong_password(world: World) -> None:
    done = world.run("make_inventory.py", env={"HS_PASSWORD": "wrong"})
    assert done.returncode == 1
    assert "the password of user 'admin' is wrong" in done.stderr and "wrong'" not in done.stderr


def test_make_inventory_names_a_server_that_does_not_answer(world: World) -> None:
    done = world.run("make_inventory.py", "--hsds_endpoint=http://127.0.0.1:9")
    assert done.returncode == 1
    assert "HSDS at http://127.0.0.1:9 is not READY" in done.stderr


def test_make_inventory_replaces_only_with_force_and_says_what_goes(world: World) -> None:
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    done = world.run("make_inventory.py")
    assert done.returncode == 1 and "is there already; --force replaces it" in done.stderr
    assert len(world.rows()) == 1
    assert f"replacing {world.inventory_domain}: 1 rows go" in world.ok("make_inventory.py", "--force")
    assert world.rows() == {}


def test_dump_inventory_without_an_inventory(world: World) -> None:
    done = world.run("dump_inventory.py")
    assert done.returncode == 1
    assert "there is no inventory" in done.stderr and "make one with make_inventory.py" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SRC_BUCKET": "no-such-bucket"}, "there is no bucket no-such-bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, "refuses these credentials"),
        ({"HS_PASSWORD": "wrong"}, "the password of user 'admin' is wrong"),
        ({"HSDS_ENDPOINT": "http://127.0.0.1:9"}, "HSDS at http://127.0.0.1:9 is not READY"),
    ],
)
def test_a_pod_with_an_operators_mistake_waits_and_says_for_what(
    world: World, settings: dict[str, str], words: str
) -> None:
    world.ok("make_inventory.py")
    for script in ("watcher.py", "loader.py"):
        done = world.run(script, "--once", env={**settings, "READY_TIMEOUT": "4"})
        assert done.returncode == 1
        assert f"waiting: {words}" in done.stdout or words in done.stdout
        assert words in done.stderr


@pytest.mark.long
def test_a_loader_waits_for_a_folder_that_is_missing(world: World) -> None:
    world.ok("make_inventory.py")
    done = world.run("loader.py", "--once", env={"TGT_FOLDER": "/home/admin/nowhere/", "READY_TIMEOUT": "4"})
    assert done.returncode == 1
    assert "there is no folder /home/admin/nowhere/ on" in done.stdout
    assert "hstouch /home/admin/nowhere/" in done.stderr


def test_a_missing_tool_is_named(world: World) -> None:
    world.ok("make_inventory.py")
    done = world.run("loader.py", "--once", "--hsload=no-such-tool")
    assert done.returncode == 1
    assert "the command 'no-such-tool' is neither in" in done.stderr


def test_the_tools_beside_this_python_need_no_activated_environment(world: World) -> None:
    world.make_inventory()
    done = world.run("loader.py", "--drain", env={"PATH": os.defpath})
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_dump_inventory_as_text_and_json(world: World) -> None:
    world.put("a b.h5", files.GOOD["scalar.h5"])
    world.put("bad.h5", b"not hdf5")
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once")
    world.ok("loader.py", "--drain")
    text = world.ok("dump_inventory.py")
    lines = text.splitlines()
    assert "2 files, " in text and text.index("2 files, ") < text.index("a b.h5"), "the summary comes first"
    assert any(line.startswith("loaded ") and line.endswith("  a b.h5") for line in lines)
    assert any(line.startswith("load failed ") and line.endswith("  bad.h5") for line in lines)
    assert lines[-1] == "2 rows" and "when (UTC" in text, "times come with their zone"
    assert "\x1b" not in text, "no colours where it is piped"
    only = world.ok("dump_inventory.py", "--state", "load-failed", "--json").splitlines()
    assert [json.loads(line)["filename"] for line in only] == ["bad.h5"]
    assert json.loads(only[0])["state"] == "load failed"
    assert re.search(r"load failed +1 ", world.ok("dump_inventory.py", "--summary"))
    assert "1  load failed: " in world.ok("dump_inventory.py", "--failed")
    assert world.ok("dump_inventory.py", "--csv", "--match", "a*").splitlines()[1].startswith("0,a b.h5,loaded,")
    piped = subprocess.run(
        f"{sys.executable} {ROOT / 'dump_inventory.py'} --json | head -1",
        shell=True,
        env=world.env(),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in piped.stderr and "BrokenPipe" not in piped.stderr
