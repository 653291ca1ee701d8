"""`python -m bucket_loader.verify SOURCE DOMAIN`: exit status 0 same, 1 different, 2 trouble, as h5diff has it."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import h5py

from ..log import complain
from . import Domain, Trouble, verify


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m bucket_loader.verify",
        description="Compare an HDF5 file with an HSDS domain, in both directions. The password is in HS_PASSWORD.",
    )
    options.add_argument("source", help="a path, or s3://bucket/key (settings: AWS_*, FSSPEC_S3)")
    options.add_argument("domain", help="for example /home/me/file.h5")
    options.add_argument("--endpoint", default=os.environ.get("HS_ENDPOINT"), help="default: HS_ENDPOINT")
    options.add_argument("--user", default=os.environ.get("HS_USERNAME"), help="default: HS_USERNAME")
    options.add_argument("--bucket", default=os.environ.get("HS_BUCKET"), help="default: HS_BUCKET")
    options.add_argument("--strict", action="store_true", help="what HSDS cannot hold is a difference, too")
    options.add_argument(
        "--after-hsdiff", action="store_true", help="leave out the values that a good run of hsdiff has compared"
    )
    options.add_argument("--limit", type=int, default=20, help="stop after so many differences (default 20)")
    options.add_argument("--timeout", type=float, default=60.0, help="seconds of silence to wait for (default 60)")
    options.add_argument("--quiet", action="store_true", help="print the first line only")
    return options


@contextmanager
def open_source(name: str) -> Iterator[h5py.File]:
    """The file, local or in S3. Raises `Trouble`."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  filters that h5py does not bring along
    try:
        if name.startswith("s3://"):
            import fsspec

            with fsspec.open(name, "rb") as stream, h5py.File(stream, "r") as file:
                yield file
        else:
            with h5py.File(name, "r") as file:
                yield file
    except (OSError, ImportError) as error:
        raise Trouble(f"{name} cannot be read: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if not options.endpoint:
        parser().error("no server: set HS_ENDPOINT or give --endpoint")
    try:
        with (
            Domain(
                options.endpoint,
                options.domain,
                options.user or "",
                os.environ.get("HS_PASSWORD", ""),
                options.bucket,
                timeout=(10.0, options.timeout),
            ) as domain,
            open_source(options.source) as source,
        ):
            report = verify(
                source, domain, strict=options.strict, limit=options.limit, after_hsdiff=options.after_hsdiff
            )
    except Trouble as error:
        complain(f"trouble: {error}")
        return 2
    except Exception:
        # Python's own status for a crash is 1, which here would say "different"
        traceback.print_exc()
        return 2
    print(report.summary())
    if not options.quiet:
        for difference in report.differences:
            print(difference)
        for trouble in report.troubles:
            print(f"trouble: {trouble}")
        for note in report.notes:
            print(f"note: {note}")
        if report.truncated:
            print(f"stopped after {options.limit} findings")
    return 0 if report.same else 1 if report.differences else 2


if __name__ == "__main__":
    sys.exit(main())
