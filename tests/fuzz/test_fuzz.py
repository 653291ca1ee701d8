"""A short run of damaged files, the same at every time; `make fuzz` makes a long one."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from tests.fuzz.__main__ import options, run
from tests.fuzz.damage import KINDS, Case
from tests.fuzz.loads import load_and_check
from tests.fuzz.runner import HELD, Runner, State
from tests.fuzz.seeds import seeds
from tests.world import ROOT, Servers, World

CASES = 200
VERIFIED = ("groups-latest", "linkable-earliest", "types-latest", "variable-earliest")
# of kinds of damage that leave a file readable as often as not
LOADED = [
    Case(name, kind, number)
    for number, (name, kind) in enumerate(
        (
            ("linkable-latest", "bits"),
            ("attributes-earliest", "texts"),
            ("variable-latest", "blocks"),
            ("chunk_indexes-earliest", "numbers"),
        )
    )
]


def test_a_case_is_the_same_file_at_every_time() -> None:
    one, other = seeds(corpus=False), seeds(corpus=False)
    rng = random.Random(1)
    for name in one:
        for kind in KINDS:
            case = Case(name, kind, rng.randrange(1000))
            assert case.body(one) == case.body(other)
            assert Case.parse(str(case)) == case


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        (lambda file: None, True),
        (lambda file: file["contiguous"].__setitem__(3, -1), False),
        (lambda file: file["contiguous"].attrs.__setitem__("units", "km"), False),
        (lambda file: file.move("packed", "moved"), False),
    ],
)
def test_what_is_not_the_same_is_found(tmp_path: Path, change: Callable[[h5py.File], None], alike: bool) -> None:
    paths = [tmp_path / name for name in ("a.h5", "b.h5")]
    for path in paths:
        path.write_bytes(seeds(corpus=False)["linkable-latest"].body)
    with h5py.File(paths[1], "r+") as file:
        change(file)
    done = subprocess.run([sys.executable, "-m", "tests.fuzz.alike", *map(str, paths)], cwd=ROOT, timeout=60)
    assert done.returncode == (0 if alike else 1)


def test_a_process_that_keeps_a_file_open_has_grown(tmp_path: Path) -> None:
    before = State.now(tmp_path)
    assert before.grown_to(State.now(tmp_path)) == ""
    opened = [(tmp_path / f"hsds-load-{number}").open("w") for number in range(HELD + 1)]
    grown = before.grown_to(State.now(tmp_path))
    for file in opened:
        file.close()
    assert grown == f"files: {before.files + HELD + 1}, not {before.files}; temporary: {HELD + 1}, not 0"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_damaged_file_hurts_a_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)
    files = seeds(corpus=False)
    rng = random.Random(14)
    # half of them of those that are compared with a domain, too
    names = [rng.choice(VERIFIED) if number % 2 else rng.choice(sorted(files)) for number in range(CASES)]
    tally = Runner(world, files, VERIFIED).run(
        Case(name, rng.choice(list(KINDS)), rng.randrange(10**6)) for name in names
    )
    assert not tally.findings, "\n".join(map(str, tally.findings))
    assert tally.cases == CASES
    good = {step for (step, what), count in tally.outcomes.items() if what == "good" and count >= 10}
    assert good == {"look, link", "look, ingest", "write", "explain", "verify"}, tally.outcomes


@pytest.mark.timeout(300)
def test_one_case_is_made_again(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in servers.s3.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert run(servers, options(["--case", "linkable-latest:cut:3", "--seconds", "0"])) == 0
    assert capsys.readouterr().out.startswith("1 cases")
    body = Case("linkable-latest", "cut", 3).body(seeds(corpus=False))
    assert (tmp_path / "fuzz-case.h5").read_bytes() == body


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["link", "ingest"])
def test_damaged_files_that_are_loaded_end_in_a_state_that_is_true(servers: Servers, mode: str) -> None:
    files = seeds(corpus=False)
    done = load_and_check(
        World.make(servers, f"fuzz {mode}"), {str(case): case.body(files) for case in LOADED}, mode == "link"
    )
    assert not done.findings, "\n".join(done.findings)
    assert done.states["verified"] and sum(done.states.values()) == len(LOADED), done.states
