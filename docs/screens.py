"""`make screens`: the pictures of the README, from a real run on this machine, with the real programs' output.

The terminal's are SVG, made by rich from what the programs print; the page's are screenshots of Chromium.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bucket_loader.inventory.claims import Inventory  # noqa: E402
from bucket_loader.local import demo  # noqa: E402
from bucket_loader.local.servers import OWN_HSDS  # noqa: E402
from bucket_loader.local.site import FOLDER, INVENTORY, Pods, Site  # noqa: E402
from bucket_loader.report import terminal  # noqa: E402
from bucket_loader.report.summary import summarize  # noqa: E402
from tests import browser  # noqa: E402

IMAGES = ROOT / "docs" / "img"
WIDTH, HEIGHT = 80, 24
COPIES, BROKEN = 30, 2  # of the demo's six files: as many as take a minute, after which there is a pace to show


def fill(folder: Path) -> None:
    """Files as the demo's, some of them broken: a picture without failures would hide a third of what there is."""
    samples = folder / "samples"
    for name in ("climate", "detector"):
        (samples / name).mkdir(parents=True)
    demo.sample_files(samples)
    files = folder / "files"
    for number in range(COPIES):
        shutil.copytree(samples, files / f"2026-{number + 1:02}")
    for number in range(BROKEN):
        (files / f"2026-{number + 1:02}" / "transfer.part.h5").write_bytes(b"not HDF5")


def photograph(name: str, command: str, output: str) -> None:
    """A terminal with a command and what it printed, as SVG."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH + 1, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(output.rstrip("\n")))
    console.save_svg(str(IMAGES / f"{name}.svg"), title="")


def browse(page: Path) -> None:
    """The top of the page, in light and dark, and on a phone."""
    shots = (("page", 1100, 1000, False), ("page-dark", 1100, 1000, True), ("phone", 390, 844, True))
    for name, width, height, dark in shots:
        with browser.chromium(width, height, dark) as driver:
            driver.get(page.as_uri())
            end = time.monotonic() + 30
            while driver.execute_script("return document.documentElement.dataset.ready") != "yes":
                if time.monotonic() > end:
                    raise SystemExit(f"the page does not come up: {driver.get_log('browser')}")
                time.sleep(0.1)
            shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def follow(inventory: Inventory, pods: Pods) -> str:
    """Wait until every row is finished; returns what `--watch` showed when most was going on."""
    live, most = "", -1
    while not (summary := summarize(inventory)).finished:
        pods.check()
        going_on = len(summary.tasks) + 10 * (summary.loads.known + summary.checks.known)
        if going_on >= most:
            most = going_on
            console = Console(width=WIDTH, height=HEIGHT, force_terminal=True, color_system="truecolor")
            with console.capture() as capture:
                console.print(terminal.live_view(summary, INVENTORY, HEIGHT))
            live = capture.get()
        time.sleep(1)
    return live


def main() -> int:
    IMAGES.mkdir(exist_ok=True)
    with Site.started(OWN_HSDS, OWN_HSDS) as site:
        fill(site.folder)
        demo.fill_bucket(site.s3, "source", site.folder / "files", Console())
        hsds = site.hsds()
        hsds.make_folders(FOLDER)
        env = site.environment(LOAD_ENGINE="hsload")  # the direct engine has loaded them all before a pace is known
        with Pods(site.folder, env) as pods:
            pods.call("make_inventory.py")
            pods.start("watcher.py", "hsds-bucket-watch-6c9f7-k2x8p")
            for name in ("4bq9z", "tw7lm"):
                pods.start("loader.py", f"hsds-bucket-loader-7d9c6f8b5d-{name}")
            pods.start("differ.py", "hsds-bucket-diff-5b8d44c6f7-9fjkx", HSDS_LOCAL=site.differ.endpoint)
            live = follow(Inventory.open(hsds, INVENTORY), pods)
        photograph("watch", "dump_inventory.py --watch", live)
        colours = env | {"FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
        for name, *arguments in (
            ("dump", "--sort", "changed", "--limit", "6"),
            ("failed", "--failed"),
        ):
            command = [sys.executable, str(ROOT / "dump_inventory.py"), *arguments]
            done = subprocess.run(command, env=colours, cwd=ROOT, capture_output=True, text=True, check=True)
            photograph(name, " ".join(["dump_inventory.py", *arguments]), done.stdout)
        page = site.folder / "report.html"
        pods.call("dump_inventory.py", "--html", str(page))
        browse(page)
    for image in sorted(IMAGES.iterdir()):
        print(f"{image.relative_to(ROOT)}: {image.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
