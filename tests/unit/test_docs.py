"""Every command in the README and docs/: programs' options by their own parsers, and what the runbook says is printed.

A block of the kind `console` has commands after `$ ` and what they print. They are run on real servers, on an inventory
in the state that the runbook speaks of, and each line has to be printed, numbers and times aside.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket_loader import cli, program
from tests.world import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = {script: name for name, script in cli.SCRIPTS.items()}
_CODE = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(r"\b(?:" + "|".join(re.escape(name) for name in (*SCRIPTS, "hsds-bucket-loader")) + r")\b.*")


def commands(page: Path) -> Iterator[str]:
    """What is written as a command: lines of code blocks, and code within a sentence."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            # what a program prints is no command
            yield line.strip().removeprefix("$ ")
        else:
            yield from _CODE.findall(line)


def programs(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The calls of this project's programs on a page: name and arguments."""
    for command in commands(page):
        found = _PROGRAM.search(command.partition("  #")[0])
        before = command[: found.start()] if found else ""
        if not found or re.match(r"\S*(?::|\.py \d)", found[0]) or (before and not re.search(r"(?:^|[\s/=])$", before)):
            continue
        call = re.split(r"\s(?:\||>|&&)\s", found[0])[0]
        if "[" in call or "…" in call:
            continue  # the table of what there is
        words = shlex.split(call)
        if words[0] in SCRIPTS:
            yield SCRIPTS[words[0]], words[1:]
        elif len(words) > 1 and words[1] in cli.PROGRAMS:
            yield words[1], words[2:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_programs_understand_each_command(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, arguments in programs(page):
        command = cli.command_of(name)
        try:
            program.parser(command, cli.SCRIPTS[name]).parse_args(arguments)
        except SystemExit as end:
            assert end.code == 0, f"{name} {arguments}: {capsys.readouterr().err}"


def test_commands_are_found() -> None:
    found = [call for page in PAGES for call in programs(page)]
    assert len(found) > 30 and {name for name, _ in found} == set(cli.PROGRAMS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_deployments_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    manifests = "".join(path.read_text() for path in ROOT.glob("k8s_*.yml"))
    for command in commands(page):
        if target := re.match(r"make ([a-z0-9]+)\b", command):
            assert re.search(rf"^{target[1]}:", makefile, re.M), command
        for deployment in re.findall(r"deployment/(\S+)", command):
            assert f"name: {deployment}\n" in manifests, command
        for manifest in re.findall(r"\bk8s_\w+\.(?:yml|sh)", command):
            assert (ROOT / manifest).is_file(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


SOURCES = [
    *ROOT.glob("*.py"),
    *(path for of in ("bucket_loader", "bench", "docs", "tests") for path in (ROOT / of).rglob("*.py")),
]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_the_modules_and_tests_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    codes = _CODE.findall(text)
    modules = set(re.findall(r"[\w/]*\btest_\w+\.py", text))
    modules |= {found[0] for code in codes if (found := re.match(r"[\w/]+\.py(?=$|::|\[)", code))}
    assert not {name for name in modules if not any(path.as_posix().endswith(f"/{name}") for path in SOURCES)}
    # `test_leases.py::test_a_name`, `…the_middle_of_a_name…`
    named = {found[1] for code in codes if (found := re.match(r"(?:[\w./]+::|…)…?(\w+_\w+)", code))}
    tests = [path.read_text(encoding="utf-8") for path in SOURCES if path.name.startswith("test_")]
    there = re.findall(r"def (test_\w+)", "".join(tests)) + [path.stem for path in SOURCES]
    assert not {name for name in named if not any(name in test for test in there)}


@pytest.mark.slow
def test_the_script_of_the_pictures_finds_what_it_imports() -> None:
    done = subprocess.run([sys.executable, "-c", "import docs.screens"], cwd=ROOT, capture_output=True, text=True)
    assert not done.returncode, done.stderr
