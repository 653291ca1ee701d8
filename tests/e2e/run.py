#!/usr/bin/env python3
"""The whole job in containers: the image, the two scripts, the three manifests, scaling, a pod that dies. `make e2e`.

Where kubectl reaches a cluster and E2E_IMAGE names this image where the cluster can pull it, the pods run there, in a
namespace of their own, hsds-e2e. Else podman runs them on this machine; with CI=true, root on Debian or Ubuntu gets
it installed.
Everything it makes carries the name hsds-e2e or is a pod of ours, and is removed again at the end.

    tests/e2e/run.py               the whole job, then an operator's mistakes
    tests/e2e/run.py --mistakes    the mistakes alone
    tests/e2e/run.py --measure     instead: the memory of each container while a 300 MB file is worked on (podman)
    tests/e2e/run.py --keep        leave the pods for a look at them (the next run removes them)

Exit status: 0 all verified, or skipped with the reason in capitals; 1 something was not as it should be.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.e2e import job, kubectl
from tests.e2e.common import Failed, Place, Skipped, say
from tests.e2e.measure import measure
from tests.e2e.podman import Podman


def choose(folder: Path, measuring: bool) -> Place:
    image = os.environ.get("E2E_IMAGE")
    if measuring or not kubectl.reachable():
        return Podman(folder)
    if not image:
        say("kubectl reaches a cluster, but E2E_IMAGE does not say where it can pull the image from")
        return Podman(folder)
    return kubectl.Kubectl(image, os.environ.get("E2E_S3_IMAGE", kubectl.S3_IMAGE))


@contextmanager
def cleaned(desk: job.Desk, keep: bool) -> Iterator[None]:
    desk.place.remove()
    try:
        yield
    except BaseException:
        print(desk.logs(), file=sys.stderr)
        raise
    finally:
        if keep:
            say("the pods are left")
        else:
            desk.place.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description="The whole job in containers.")
    parser.add_argument("--measure", action="store_true", help="memory of each container with a 300 MB file, instead")
    parser.add_argument("--mistakes", action="store_true", help="an operator's mistakes alone")
    parser.add_argument("--keep", action="store_true", help="leave the pods where they are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hsds-e2e-") as name:
        try:
            desk = job.Desk(choose(Path(name), options.measure), Path(name))
            with cleaned(desk, options.keep):
                job.set_up(desk)
                if options.measure:
                    measure(desk)
                else:
                    if options.mistakes:
                        desk.make_inventory()
                    else:
                        job.whole_job(desk)
                        job.direct(desk)
                    job.mistakes(desk)
        except Skipped as error:
            print(f"E2E SKIPPED, NOTHING WAS TESTED: {error}", flush=True)
            return 0
        except Failed as error:
            print(f"e2e failed: {error}", file=sys.stderr, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
