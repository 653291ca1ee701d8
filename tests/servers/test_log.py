"""What the log says: the same fields as text and as JSON, one line an event, and never a secret."""

from __future__ import annotations

import io
import json

import pytest

from bucket_loader import log, program
from bucket_loader.config import Config
from bucket_loader.program import Command
from bucket_loader.s3 import SourceObject
from tests import files
from tests.unit.test_log import HOSTILE
from tests.world import World


@pytest.mark.parametrize(("level", "traced"), [("INFO", False), ("DEBUG", True)])
def test_a_defect_is_one_line_unless_in_debug(
    stream: io.StringIO, world: World, capsys: pytest.CaptureFixture[str], level: str, traced: bool
) -> None:
    def body(_options: object, _settings: Config) -> int:
        raise ZeroDivisionError("by zero")

    arguments = [f"--config-dir={world.env()['CONFIG_DIR']}", f"--log_level={level}", "--src_bucket=b"]
    arguments += ["--tgt_folder=/home/x/", "--inventory_domain=/home/x/i.h5", "--hsds_endpoint=http://127.0.0.1:9"]
    command = Command("A program.", "", lambda made: None, body, desktop=True)
    assert program.run(program.parser(command, "program"), arguments, command) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: by zero" in shown
    assert ("Traceback" in shown) is traced


@pytest.mark.long
def test_a_workers_life_as_json(world: World) -> None:
    world.put("a b.h5", files.GOOD["scalar.h5"])
    world.put("bad.h5", b"not hdf5")
    world.ok("make_inventory.py")
    world.ok("watcher.py", "--once", "--log_format=json")
    done = [json.loads(line) for line in world.ok("loader.py", "--drain", "--log_format=json").splitlines()]
    assert all(line["pod"].partition("/")[0] == "pod-1" for line in done[1:])
    assert done[0]["settings"]["hs_password"] == log.MASK
    ended = {line["key"]: line for line in done if line["event"] in ("load ended", "load failed")}
    assert set(ended) == {"a b.h5", "bad.h5"}
    common = {"time", "level", "event", "key", "row", "attempt", "seconds", "bytes", "outcome", "pod"}
    assert all(common <= set(line) for line in ended.values())
    assert (ended["a b.h5"]["outcome"], ended["bad.h5"]["outcome"]) == ("loaded", "load failed")
    assert ended["bad.h5"]["reason"] and ended["bad.h5"]["level"] == "WARNING"


@pytest.mark.long
@pytest.mark.servers
def test_a_hostile_key_reaches_no_terminal_raw(world: World) -> None:
    world.put("a.h5", files.GOOD["scalar.h5"])
    world.ok("make_inventory.py")
    source = world.source_of("a.h5")
    for key in (HOSTILE, "=1+1.h5", "@SUM(1).h5"):
        world.inventory().append([SourceObject(key, source.size, source.etag, source.modified)])
    shown = world.ok("loader.py", "--drain") + world.ok("loader.py", "--once", "--log_format=json")
    for arguments in ([], ["--summary"], ["--failed"], ["--failed", "--json"], ["--json"], ["--csv"]):
        shown += world.ok("dump_inventory.py", *arguments)
    shown += world.ok("reset_inventory.py", "--failed", "--dry-run")
    assert "gnp.h5" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert world.rows()[HOSTILE]["state"] == "load failed", "JSON gives the key back as it is"
    cells = [line.split(",")[1] for line in world.ok("dump_inventory.py", "--csv").splitlines()]
    assert {"'=1+1.h5", "'@SUM(1).h5"} < set(cells)
