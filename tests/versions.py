"""`python -m tests.versions`: the suites that touch HSDS, with other versions of it. `make versions`; --write for docs.

python -m tests.versions --quick        the inventory and the readers, with the newest version as the cluster's
python -m tests.versions --write        every pair, and the table in docs/versions.md
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time

from bucket_loader.local.servers import OWN_HSDS
from tests.world import ROOT

NEWEST = "1.0.2"
PAIRS = [("0.8.4", OWN_HSDS), (OWN_HSDS, OWN_HSDS), (NEWEST, OWN_HSDS), (NEWEST, NEWEST)]  # the cluster's, the pods'
SUITES = {
    "inventory": "tests/servers/inventory",
    "pipeline": "tests/servers/test_pipeline.py",
    "readers": "tests/servers/test_readers.py",
    "direct": "tests/servers/storage",
}
PAGE = ROOT / "docs" / "versions.md"
TABLE = re.compile(r"(?<=<!-- made by make versions -->\n).*?(?=<!-- end -->)", re.DOTALL)


def outcome(cluster: str, pod: str, suite: str) -> tuple[str, bool]:
    """What a suite said in few words, and whether all of it passed."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-n", "3", "-m", "not corpus", SUITES[suite]]
    command += [f"--cluster-hsds={cluster}", f"--pod-hsds={pod}", "--timeout=600"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    *rest, last = done.stdout.splitlines()
    failed = [line for line in rest if line.startswith(("FAILED", "ERROR"))]
    print(f"cluster {cluster}, pods {pod}, {suite}: {last} ({time.monotonic() - began:.0f} s)", *failed, sep="\n  ")
    words = re.sub(r" in .*", "", last.strip("= "))
    return re.sub(r", \d+ (warnings?|deselected)", "", words), not done.returncode


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="what CI runs: the newest version, three suites")
    options.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    wanted = options.parse_args()
    if wanted.quick:
        return 0 if all([outcome(NEWEST, OWN_HSDS, suite)[1] for suite in ("inventory", "readers", "direct")]) else 1
    lines = [f"| cluster | pods | {' | '.join(SUITES)} |", "| --- | --- |" + " --- |" * len(SUITES)]
    for cluster, pod in PAIRS:
        lines.append(f"| {cluster} | {pod} | " + " | ".join(outcome(cluster, pod, suite)[0] for suite in SUITES) + " |")
    table = "\n".join(lines) + "\n"
    print(table)
    if wanted.write:
        PAGE.write_text(TABLE.sub(lambda _: table, PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
