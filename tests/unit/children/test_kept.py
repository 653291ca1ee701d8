"""A child that is kept for several files: each has its own arguments, folder, output and limits, and its own end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket_loader.children import kept, limits, supervise
from bucket_loader.children.answer import FILE, Answer
from bucket_loader.children.limits import Budget, Limits
from bucket_loader.children.supervise import Ending, Finished
from bucket_loader.children.tool import failure
from bucket_loader.errors import Refused, Retry

pytestmark = pytest.mark.slow

ENV = {"PATH": os.environ["PATH"]}
SHOW = "import os; print(os.getpid(), arguments[1:], os.listdir())"


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(kept, "_KEEPERS", ("tests.kept",))
    yield
    for child in kept._idle.pop("tests.kept", []):
        child.pipe.close()


def run(code: str, *more: str, env: dict[str, str] = ENV, seconds: float = 30, memory: int = 1 << 30) -> Finished:
    of = Limits(Budget(seconds, "load_time_limit"), memory, 1 << 20)
    return supervise.run([sys.executable, "-m", "tests.kept", code, *more], env, of)


def pid_of(done: Finished) -> int:
    return int(done.lines[0].split()[0])


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_it_has_one_file_after_another_each_with_its_own_arguments_folder_output_and_answer() -> None:
    code = SHOW + f"; open({FILE!r}, 'w').write(arguments[1]); print('half a line', end='')"
    first, second = run(code, "one"), run(code, "two", "words")
    assert [done.lines[0].partition(" ")[2] for done in (first, second)] == ["['one'] []", "['two', 'words'] []"]
    assert [done.lines[1:] for done in (first, second)] == [["half a line"]] * 2
    assert (first.answer, second.answer) == ("one", "two")
    assert pid_of(first) == pid_of(second) and (first.reused, second.reused) == (False, True)


@pytest.mark.parametrize(
    ("code", "ending", "status"),
    [
        ("status = 2", Ending.EXITED, 2),
        ("raise SystemExit(3)", Ending.EXITED, 3),
        ("raise SystemExit('no')", Ending.EXITED, 1),
        ("raise KeyError('unforeseen')", Ending.EXITED, 1),
        ("import os; os.kill(os.getpid(), 11)", Ending.KILLED, signal.SIGSEGV),
        ("while True: print('x' * 1000)", Ending.TOO_MUCH, 1),
        ("import time; time.sleep(60)", Ending.TOO_LONG, signal.SIGTERM),
    ],
)
def test_it_ends_with_a_file_that_it_was_not_done_with(code: str, ending: Ending, status: int) -> None:
    before = run(SHOW)
    failed = run(code, seconds=2)
    assert (failed.ending, failed.reused) == (ending, True)
    assert failed.status in (status, signal.SIGTERM)  # one that prints may be ended from here, too
    after = run(SHOW)
    assert not after.reused and is_gone(pid_of(before))


def test_one_that_ended_while_it_waited_is_no_files_fault() -> None:
    before = run(SHOW)
    os.kill(pid_of(before), signal.SIGKILL)
    assert is_gone(pid_of(before))
    after = run(SHOW)
    assert (after.ending, after.status, after.reused) == (Ending.EXITED, 0, False)


def test_another_environment_is_for_another_child() -> None:
    before = run(SHOW)
    after = run(SHOW + "; print(os.environ['AWS_SESSION_TOKEN'])", env=ENV | {"AWS_SESSION_TOKEN": "newer"})
    assert after.lines[1] == "newer" and is_gone(pid_of(before))


def test_the_time_of_the_processor_counts_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CPU_SLACK_SECONDS", 0)
    monkeypatch.setattr(supervise, "_limit_reached", lambda *_: None)  # a busy machine takes longer by the clock
    burn = "import time; end = time.process_time() + {}\nwhile time.process_time() < end: pass"
    # what is left of the seconds when a child begins is its limit: on a busy machine that is less
    several = [run(burn.format(1.2), seconds=4) for _ in range(4)]
    assert [(done.ending, done.status, done.reused) for done in several] == [
        (Ending.EXITED, 0, number > 0) for number in range(4)
    ]
    assert run(burn.format(20), seconds=2).ending is Ending.TOO_LONG


def test_it_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_FILES", 2)
    assert [run(SHOW).reused for _ in range(5)] == [False, True, False, True, False]


def test_it_is_not_kept_when_it_does_not_give_memory_back() -> None:
    run("import sys; sys.leak = bytearray(300 << 20)")
    assert not run(SHOW).reused


def test_memory_that_an_earlier_file_may_have_taken_is_no_files_fault() -> None:
    answer = Answer.of_error(MemoryError()).to_json()
    for reused, kind in ((False, Refused), (True, Retry)):
        done = Finished(Ending.EXITED, 2, 1.0, answer=answer, memory="9m (x)", reused=reused)
        assert type(failure(done, "memory", "no memory")) is kind


def test_it_ends_with_its_loader() -> None:
    code = (
        "import sys; from bucket_loader.children import kept, supervise\n"
        "from tests.unit.children.test_kept import run, SHOW\n"
        "kept._KEEPERS = ('tests.kept',)\n"
        "print(run(SHOW).lines[0], flush=True); sys.stdin.read()"
    )
    loader = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert loader.stdout and loader.stdin
    pid = int(loader.stdout.readline().split()[0])
    loader.kill()
    loader.communicate()
    assert is_gone(pid)
