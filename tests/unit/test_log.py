"""What the log says: the same fields as text and as JSON, one line an event, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bucket_loader import log, program
from bucket_loader.log import bind, bound, event
from tests.world import ROOT


def said(stream: io.StringIO) -> list[str]:
    """The lines without time and level."""
    return [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()]


def test_one_line_for_people(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)
    with bound(pod="pod-1", row=3, key="a b.h5"):
        event(logging.INFO, "load ended", reason=None, mode="link", seconds=1.25, attempt=2)
        event(logging.WARNING, "cannot claim", error="HSDS\nis away")
    event(logging.DEBUG, "not at this level")
    assert said(stream) == [
        "load ended key='a b.h5' row=3 attempt=2 seconds=1.2 mode=link pod=pod-1",
        "cannot claim: HSDS is away key='a b.h5' row=3 pod=pod-1",
    ]


def test_the_same_as_json_has_the_same_names_and_real_types(stream: io.StringIO) -> None:
    log.set_up("INFO", stream, "json")
    with bound(pod="pod-1", row=3, key='ü "q"\n.h5'):
        event(logging.INFO, "load ended", seconds=1.23456, outcome="loaded")
    found = json.loads(stream.getvalue())
    assert list(found) == ["time", "level", "event", "key", "row", "seconds", "outcome", "pod"]
    assert (found["level"], found["event"], found["row"], found["seconds"]) == ("INFO", "load ended", 3, 1.235)
    assert found["key"] == 'ü "q" .h5'
    assert found["time"][10] == "T" and found["time"][-6] in "+-"


HOSTILE = "\x1b]0;evil\x07\x9b31m\u202egnp.h5\u2066 \u200fü"


@pytest.mark.parametrize("style", ["text", "json"])
def test_what_a_terminal_would_obey_is_written_out(stream: io.StringIO, style: str) -> None:
    log.set_up("DEBUG", stream, style)
    event(logging.WARNING, "cannot claim", error=HOSTILE, key=HOSTILE, settings={"src_prefix": HOSTILE})
    logging.getLogger("s3fs").warning("read %s", HOSTILE)
    try:
        raise OSError(HOSTILE)
    except OSError:
        event(logging.DEBUG, "broke off", trace=True)
    assert all(char.isprintable() or char == "\n" for char in stream.getvalue())
    assert "ü" in stream.getvalue()
    if style == "json":
        assert json.loads(stream.getvalue().splitlines()[0])["key"] == HOSTILE
    assert log.printable("größe\n\x1b[31m.h5") == "größe\\n\\x1b[31m.h5"


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_secret_is_masked_wherever_it_comes_from(stream: io.StringIO, style: str) -> None:
    log.set_up("DEBUG", stream, style, ['se"cret word', "abc"])
    event(logging.ERROR, "failed", reason='a server said se"cret word', key="abc")
    try:
        raise ValueError('of se"cret word')
    except ValueError:
        event(logging.DEBUG, "broke off", trace=True)
    logging.getLogger("botocore").warning('signed with se"cret word')
    shown = stream.getvalue()
    assert "cret word" not in shown and shown.count(log.MASK) >= 3
    assert "abc" in shown, "what is too short to be told from other words stays"


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("start", ["back\\slash-", "one'and\"two-", "it's-", "tab\tand-", "\u202eturned-"])
def test_a_secret_is_masked_however_the_line_spells_it(stream: io.StringIO, style: str, start: str) -> None:
    secret = f"{program}password"
    log.set_up("DEBUG", stream, style, [secret])
    event(logging.ERROR, "failed", error=secret, key=f'{secret} "', settings={"aws_region": secret})
    logging.getLogger("botocore").warning("signed with %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        event(logging.DEBUG, "broke off", trace=True)
    assert "password" not in stream.getvalue() and stream.getvalue().count(log.MASK) == 5


def test_libraries_speak_the_same_format(stream: io.StringIO) -> None:
    log.set_up("DEBUG", stream, "json")
    logging.getLogger("h5pyd").warning("tries %s", "again")
    found = json.loads(stream.getvalue())
    assert (found["event"], found["logger"], found["level"]) == ("tries again", "h5pyd", "WARNING")


def test_threads_have_their_own_fields(stream: io.StringIO) -> None:
    log.set_up("INFO", stream)

    def work(name: str) -> None:
        bind(pod=name)
        event(logging.INFO, "works")

    for name in ("pod/0", "pod/1"):
        thread = threading.Thread(target=work, args=(name,))
        thread.start()
        thread.join()
    event(logging.INFO, "stops")
    assert said(stream)[:2] == ["works pod=pod/0", "works pod=pod/1"]
    assert "pod/" not in said(stream)[2]


@pytest.mark.slow
def test_a_hostile_option_or_setting_reaches_no_terminal_raw(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(json.dumps({HOSTILE: 1}))
    for command in (
        [ROOT / "dump_inventory.py", HOSTILE],
        [ROOT / "dump_inventory.py", "--limit", HOSTILE],
        [ROOT / "dump_inventory.py", f"--config-dir={tmp_path}"],
        ["-c", "import sys; from bucket_loader.cli import main; sys.exit(main())", HOSTILE],
        ["-m", "bucket_loader.deploy.configmap", tmp_path / "config.yml"],
        ["-m", "bucket_loader.verify", "--limit", HOSTILE, "a", "b"],
    ):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=60)
        shown = done.stdout + done.stderr
        assert done.returncode == 2 and "gnp.h5" in shown, command
        assert all(char.isprintable() or char == "\n" for char in shown), command
