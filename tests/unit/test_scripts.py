"""What the screen says: help, mistakes of operators, exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.world import ROOT

SCRIPTS = ["make_inventory.py", "dump_inventory.py", "reset_inventory.py", "watcher.py", "loader.py", "differ.py"]


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_help_fits_80_columns(script: str) -> None:
    env = {"PATH": os.environ["PATH"], "COLUMNS": "80"}
    helped = subprocess.run([sys.executable, ROOT / script, "--help"], capture_output=True, text=True, env=env)
    assert helped.returncode == 0
    assert "examples:" in helped.stdout and "--config-dir" in helped.stdout
    assert "exit status: 0 good, 1 something failed, 2 wrong usage or settings" in helped.stdout
    assert [line for line in helped.stdout.splitlines() if len(line) > 80] == []


def test_scripts_are_short() -> None:
    for script in SCRIPTS:
        assert len((ROOT / script).read_text().splitlines()) < 60
