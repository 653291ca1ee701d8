"""`python -m bucket_loader.verify SOURCE DOMAIN`: exit status 0 same, 1 different, 2 trouble, as h5diff has it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..children import answering
from ..children.answer import Answer
from ..children.answering import answered, hsds_of_environment, open_source
from ..hdf5.beside import Beside
from ..hdf5.stream import open_bytes
from ..hsds import Hsds
from ..log import clear_line
from . import Domain, Report, verify


def parser() -> argparse.ArgumentParser:
    description = "Compare an HDF5 file with an HSDS domain, in both directions. The password is in HS_PASSWORD."
    options = answering.child_parser("verify", description, reads_beside=True)
    options.add_argument("domain", help="for example /home/me/file.h5")
    set_up = hsds_of_environment()
    options.add_argument("--endpoint", default=set_up.endpoint, help="default: HS_ENDPOINT")
    options.add_argument("--user", default=set_up.username, help="default: HS_USERNAME")
    options.add_argument("--bucket", default=set_up.bucket, help="default: HS_BUCKET")
    options.add_argument("--strict", action="store_true", help="what HSDS cannot hold is a difference, too")
    options.add_argument(
        "--after-hsdiff", action="store_true", help="leave out the values that a good run of hsdiff has compared"
    )
    options.add_argument(
        "--sampled", action="store_true", help="of a large dataset, the values at its corners and in its middle alone"
    )
    options.add_argument("--limit", type=int, default=20, help="stop after so many differences (default 20)")
    options.add_argument("--timeout", type=float, default=60.0, help="seconds of silence to wait for (default 60)")
    options.add_argument("--quiet", action="store_true", help="print the first line only")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if not options.endpoint:
        parser().error("no server: set HS_ENDPOINT or give --endpoint")

    hsds = Hsds(
        options.endpoint, options.user, hsds_of_environment().password, options.bucket, time_limit=options.timeout
    )

    def compare() -> Answer:
        with (
            Domain(hsds, options.domain) as domain,
            open_source(options.source) as source,
        ):
            report = verify(
                source,
                domain,
                strict=options.strict,
                limit=options.limit,
                after_hsdiff=options.after_hsdiff,
                sampled=options.sampled,
                beside=Beside(options.source, open_bytes, options.within),
            )
        if not options.answer:
            _show(report, options)
        return answer_of(report)

    return {"done": 0, "different": 1, "trouble": 2}[answered(options.answer, compare).verdict]


def answer_of(report: Report) -> Answer:
    """What a comparison found, for another program."""
    if report.deciding:
        return Answer("different", clear_line(str(report.deciding)), report.deciding.cause)
    return Answer("trouble", clear_line(report.troubles[0])) if report.troubles else Answer("done")


def _show(report: Report, options: argparse.Namespace) -> None:
    print(report.summary())
    if options.quiet:
        return
    for difference in report.differences:
        print(difference)
    for trouble in report.troubles:
        print(f"trouble: {trouble}")
    for note in report.notes:
        print(f"note: {note}")
    if report.truncated:
        print(f"stopped after {options.limit} findings")


if __name__ == "__main__":
    sys.exit(main())
