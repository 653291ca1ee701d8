"""A supervised child: ends in every case, and takes with it what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bucket_loader.children import answer, forkserver, limits, printed, supervise
from bucket_loader.children.limits import Budget, Limits
from bucket_loader.children.supervise import Ending
from tests.waiting import until

pytestmark = pytest.mark.slow

ENV = {"PATH": os.environ["PATH"]}
Python = Callable[..., list[str]]


@pytest.fixture(params=["fresh", "warm"])
def python(request: pytest.FixtureRequest) -> Python:
    """A command line that runs some code in a fresh process, or one that is forked from a warm one."""
    if request.param == "fresh":
        return lambda code, *more: [sys.executable, "-c", code, *more]
    return lambda code, *more: [sys.executable, "-m", "tests.program", code, *more]


def within(seconds: float, memory: int = 1 << 40, output: int = 1 << 40) -> Limits:
    return Limits(Budget(seconds, "load_time_limit"), memory, output)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_and_status(python: Python) -> None:
    done = supervise.run(
        python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), ENV, within(20)
    )
    assert (done.ending, done.status) == (Ending.EXITED, 3)
    assert sorted(done.lines) == ["err", "out"]


def test_a_signal_is_told_from_a_status(python: Python) -> None:
    done = supervise.run(python("import os; os.kill(os.getpid(), 9)"), ENV, within(20))
    assert (done.ending, done.status) == (Ending.KILLED, signal.SIGKILL)


def test_too_much_output_does_not_fill_the_memory(python: Python) -> None:
    done = supervise.run(python("for n in range(200000): print('x' * 100)\nprint('last')"), ENV, within(60))
    assert len(done.lines) == supervise.KEPT_LINES and done.lines[-1] == "last"


def test_errors_are_kept_however_much_is_printed_after_them(python: Python) -> None:
    code = "print('ERROR 2026-01-01 00:00:00,000 the cause')\nfor n in range(5000): print('later')"
    assert (
        "ERROR 2026-01-01 00:00:00,000 the cause"
        in supervise.run(python(code), ENV, within(60), keep_line=lambda line: line.startswith("ERROR")).lines
    )


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_that_takes_too_long_is_ended_with_its_own_children(
    python: Python, stubborn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "TERM_SECONDS", 0.5)
    ignore = "import signal; signal.signal(15, signal.SIG_IGN);" if stubborn else "pass;"
    code = (
        f"{ignore} import subprocess, sys, time, pathlib;"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    done = supervise.run(python(code), ENV, within(1.5))
    assert done.ending is Ending.TOO_LONG
    assert done.describe() == "took too long: ended after 2 s (load_time_limit)"
    grandchild = int((tmp_path / "pid").read_text())
    until(lambda: not alive(grandchild), 5)


def test_children_share_one_budget_of_time(python: Python) -> None:
    shared = within(1.5)
    assert supervise.run(python("import time; time.sleep(60)"), ENV, shared).ending is Ending.TOO_LONG
    assert supervise.run(python("print('not begun')"), ENV, shared).lines == []


def test_a_bomb_ends_its_own_child_and_not_the_one_beside_it(python: Python) -> None:
    bomb = python("data = bytearray(); [data.extend(bytes(1 << 20)) for _ in range(4000)]")
    beside: list[supervise.Finished] = []
    thread = threading.Thread(
        target=lambda: beside.append(supervise.run(python("import time; time.sleep(3)"), ENV, within(60)))
    )
    thread.start()
    done = supervise.run(bomb, ENV, within(60, memory=400 << 20))
    thread.join()
    assert done.lines[-1] == "MemoryError" and beside[0].ending is Ending.EXITED and not beside[0].status


def test_the_kernel_keeps_the_limits_of_a_child(python: Python) -> None:
    kinds = "CPU FSIZE CORE DATA"
    code = f"import resource as r\nfor kind in {kinds.split()}: print(kind, r.getrlimit(getattr(r, 'RLIMIT_' + kind)))"
    done = supervise.run(python(code), ENV, within(30, 500 << 20, 1 << 20))
    assert done.lines == ["CPU (90, 91)", "FSIZE (1048576, 1048576)", "CORE (0, 0)", "DATA (524288000, 524288000)"]


def test_a_child_without_a_supervisor_ends_when_it_has_had_its_cpu_time(
    python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CPU_SLACK_SECONDS", -1)
    monkeypatch.setattr(supervise, "_limit_reached", lambda *_: None)
    done = supervise.run(python("while True: pass"), ENV, within(2))
    assert done.ending is Ending.TOO_LONG


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_child_that_prints_without_an_end_is_ended(python: Python, stubborn: bool) -> None:
    code = f"while True:\n try: print('x' * 100)\n except OSError:\n  if not {stubborn}: raise"
    done = supervise.run(python(code), ENV, within(60, output=1 << 20))
    assert done.ending is Ending.TOO_MUCH
    assert done.describe() == "printed too much: ended after 1m (child_output_limit)"


def test_a_line_without_an_end_is_cut(python: Python) -> None:
    done = supervise.run(python("print('a' * 3_000_000); print('b')"), ENV, within(60))
    assert done.lines == ["a" * supervise.LINE_BYTES, "b"]


def test_an_answer_is_what_a_child_left_in_its_folder(python: Python) -> None:
    write = f"import pathlib; pathlib.Path({answer.FILE!r}).write_text("
    assert supervise.run(python(write + "'it')"), ENV, within(30)).answer == "it"
    assert supervise.run(python("pass"), ENV, within(30)).answer == ""
    assert supervise.run(python(write + f"'x' * {answer.MAX_BYTES + 1})"), ENV, within(30)).answer == ""


def test_what_a_name_breaks_into_lines_is_one_line_of_a_log(tmp_path: Path) -> None:
    forged = "a\nERROR 2026-01-01 00:00:00,000 POST error: 503"
    code = "import logging; logging.basicConfig(format='%(levelname)s %(asctime)s %(message)s')\n"
    code += f"logging.error('attribute %s', {forged!r})\ntry: raise ValueError({forged!r})\n"
    code += f"except ValueError as error: raise OSError({forged!r}) from error"
    lines = supervise.run([sys.executable, "-m", "tests.program", code], ENV, within(30)).lines
    assert not printed.records(lines, "ERROR")[1:] and len(printed.crash(lines)) == 2
    assert printed.cause(lines) == "file"


def test_a_child_is_called_off(python: Python) -> None:
    asked = []

    def keep_going() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 3

    done = supervise.run(python("import time; time.sleep(60)"), ENV, within(50), keep_going)
    assert done.ending is Ending.CALLED_OFF and len(asked) == 3


def test_a_child_that_is_called_off_before_it_begins_does_nothing(python: Python, tmp_path: Path) -> None:
    mark = tmp_path / "began"
    code = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(60)"
    done = supervise.run(python(code), ENV, within(50), lambda: False)
    assert done.ending is Ending.CALLED_OFF and not mark.exists()


def test_a_child_does_not_outlive_an_error_of_its_supervisor(python: Python) -> None:
    def keep_going() -> bool:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError):
        supervise.run(python("import time; time.sleep(61)", "outlives-nobody"), ENV, within(50), keep_going)
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"outlives-nobody" not in entry.read_bytes()
        except OSError:
            continue


def test_a_command_that_is_not_there_is_named_with_the_cure() -> None:
    with pytest.raises(supervise.CommandNotFound, match=r"'no-such-tool' is neither in .* nor on PATH: install"):
        supervise.find("no-such-tool")


def test_a_command_beside_this_python_is_found_before_one_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("venv", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text("#!/bin/sh")
        (tmp_path / folder / "tool").chmod(0o755)
    (tmp_path / "elsewhere" / "other").symlink_to(tmp_path / "elsewhere" / "tool")
    # as a virtual environment has it: its tools are beside the link, not beside what it leads to
    (tmp_path / "venv" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    found = [supervise.find(name) for name in ("tool", "other", str(tmp_path / "elsewhere" / "tool"))]
    assert found == [str(tmp_path / path) for path in ("venv/tool", "elsewhere/other", "elsewhere/tool")]


def test_a_warm_child_is_what_a_fresh_one_would_be(python: Python) -> None:
    code = (
        "import os, sys, fsspec.config\n"
        "print(sorted({*os.environ} - {'LC_CTYPE'}), os.getsid(0) == os.getpid(), sys.stdin.read())\n"
        "conf = {key: value for key, value in fsspec.config.conf['s3'].items() if key != 'session'}\n"
        "print(sys.argv[-2:], conf, 'h5pyd._apps.hsload' in sys.modules)"
    )
    env = ENV | {"FSSPEC_S3": '{"endpoint_url": "http://here"}'}
    done = supervise.run(python(code, "one", "two words"), env, within(30))
    assert done.lines == [
        "['FSSPEC_S3', 'PATH'] True",
        "['one', 'two words'] {'endpoint_url': 'http://here'} False",
    ]


def test_children_of_several_threads_all_end_with_their_own_status() -> None:
    ended: list[int] = []

    def run(status: int) -> None:
        for _ in range(10):
            done = supervise.run(
                [sys.executable, "-m", "tests.program", f"raise SystemExit({status})"], ENV, within(30)
            )
            ended.append(done.status - status)

    threads = [threading.Thread(target=run, args=(status,)) for status in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [0] * 80


def test_children_end_with_the_process_that_forked_them(tmp_path: Path) -> None:
    path = str(tmp_path / "pid")
    code = (
        f"import os, pathlib, time; print('here'); pathlib.Path({path!r}).write_text(str(os.getppid())); time.sleep(60)"
    )

    def keep_going() -> bool:
        if (tmp_path / "pid").exists() and (found := (tmp_path / "pid").read_text()):
            os.kill(int(found), signal.SIGKILL)
            (tmp_path / "pid").unlink()
        return True

    done = supervise.run([sys.executable, "-m", "tests.program", code], ENV, within(30), keep_going)
    assert (done.ending, done.status) == (Ending.KILLED, signal.SIGKILL)
    again = supervise.run([sys.executable, "-m", "tests.program", "print('again')"], ENV, within(30))
    assert again.lines == ["again"]


def test_a_forked_child_makes_an_s3_client_without_reading_botocores_files() -> None:
    code = """if True:
        import botocore.loaders, s3fs
        def fail(self, path): raise AssertionError(path)
        botocore.loaders.JSONFileLoader.load_file = fail
        s3fs.S3FileSystem().connect()
        s3fs.S3FileSystem(anon=True, endpoint_url="http://127.0.0.1:9", client_kwargs={"verify": False}).connect()
        print("made")
    """
    done = supervise.run([sys.executable, "-m", "tests.program", code], ENV, within(30))
    assert done.lines == ["made"]


@pytest.mark.parametrize("setting", ["AWS_ENDPOINT_URL_S3=nonsense", "AWS_PROFILE=nobody", "AWS_CONFIG_FILE={}"])
def test_settings_that_make_no_s3_client_do_not_keep_the_forking_process_from_starting(
    setting: str, tmp_path: Path
) -> None:
    broken = tmp_path / "config"
    broken.write_text("[ not a config")
    name, _, value = setting.format(broken).partition("=")
    done = subprocess.run(
        [sys.executable, "-c", "import bucket_loader.children.boto_data"], env=os.environ | {name: value}
    )
    assert done.returncode == 0


def test_only_programs_of_this_environment_are_forked(tmp_path: Path) -> None:
    hsload = str(Path(sys.executable).parent / "hsload")
    assert forkserver.entry_of([hsload, "x"]) == "h5pyd._apps.hsload:main"
    other = tmp_path / "hsload"
    other.symlink_to(hsload)
    assert forkserver.entry_of([str(other), "x"]) is None
