"""A supervised child: ends in every case, and takes with it what it started."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bucket_loader import child
from bucket_loader.child import Ending

ENV = {"PATH": os.environ["PATH"]}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_and_status() -> None:
    done = child.run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), ENV, 20)
    assert (done.ending, done.status) == (Ending.EXITED, 3)
    assert sorted(done.lines) == ["err", "out"]


def test_a_signal_is_told_from_a_status() -> None:
    done = child.run(python("import os; os.kill(os.getpid(), 9)"), ENV, 20)
    assert (done.ending, done.status) == (Ending.KILLED, signal.SIGKILL)


def test_too_much_output_does_not_fill_the_memory() -> None:
    done = child.run(python("for n in range(200000): print('x' * 100)\nprint('last')"), ENV, 60)
    assert len(done.lines) == child.KEPT_LINES and done.lines[-1] == "last"


def test_errors_are_kept_however_much_is_printed_after_them() -> None:
    code = "print('ERROR 2026-01-01 00:00:00,000 the cause')\nfor n in range(5000): print('later')"
    assert (
        "ERROR 2026-01-01 00:00:00,000 the cause"
        in child.run(python(code), ENV, 60, keep_line=lambda line: line.startswith("ERROR")).lines
    )


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_that_takes_too_long_is_ended_with_its_own_children(
    stubborn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "TERM_SECONDS", 0.5)
    ignore = "import signal; signal.signal(15, signal.SIG_IGN);" if stubborn else "pass;"
    code = (
        f"{ignore} import subprocess, sys, time, pathlib;"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    done = child.run(python(code), ENV, time_limit=1.5)
    assert done.ending is Ending.TOO_LONG
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(grandchild)


def test_a_child_is_called_off() -> None:
    asked = []

    def keep_going() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 3

    done = child.run(python("import time; time.sleep(60)"), ENV, 50, keep_going)
    assert done.ending is Ending.CALLED_OFF and len(asked) == 3


def test_a_child_does_not_outlive_an_error_of_its_supervisor() -> None:
    def keep_going() -> bool:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        child.run([*python("import time; time.sleep(61)"), "outlives-nobody"], ENV, 50, keep_going)
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"outlives-nobody" not in entry.read_bytes()
        except OSError:
            continue


def test_a_command_that_is_not_there_is_named_with_the_cure() -> None:
    with pytest.raises(child.CommandNotFound, match=r"the command 'no-such-tool' is not on PATH: install h5pyd"):
        child.find("no-such-tool")
