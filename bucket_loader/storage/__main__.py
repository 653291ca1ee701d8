"""`python -m bucket_loader.storage SOURCE ROOT`: write a file's objects into a bucket, as HSDS keeps them.

A child of the loader: a broken file may crash or hang the HDF5 library. No domain names the root yet; a failure leaves
objects under it, which are nobody's. Exit status 0, or 2 when the file cannot be loaded in this way.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache, partial

import botocore.exceptions

from ..causes import Trouble, cause_of
from ..children.answer import Answer, telling
from ..children.answering import answered, child_parser, fast_of_environment, s3_of_environment
from ..hdf5.beside import Beside
from .oversize import SizeLimits
from .source import LocalFile, S3Object, opened
from .transfers import Transfers
from .write import Destination, Wish, Writer


@cache
def _parser() -> argparse.ArgumentParser:
    """Made once by a child that is kept: it takes a twentieth of a small file's time."""
    description = "Write a file's objects into a bucket, as HSDS keeps them."
    parser = child_parser("storage", description, reads_beside=True)
    parser.add_argument("root", help="16 hexadecimal digits, which no root in the bucket has")
    parser.add_argument("--bucket", required=True, help="of HSDS")
    linked = parser.add_mutually_exclusive_group()
    linked.add_argument("--link", action="store_true", help="leave the data where it is, as far as HSDS can read it")
    linked.add_argument("--only-link", action="store_true", help="refuse a file with data that cannot be linked")
    parser.add_argument("--reader", action="append", default=[], metavar="VERSION", help="of HSDS that is to read it")
    parser.add_argument("--max-chunk", type=int, default=SizeLimits.chunk, metavar="BYTES")
    parser.add_argument("--max-unwritten", type=int, default=SizeLimits.unwritten, metavar="BYTES")
    parser.add_argument("--block", type=int, default=256 << 10, metavar="BYTES", help="unit of reads of the index")
    parser.add_argument("--data-block", type=int, default=2 << 20, metavar="BYTES", help="unit of reads of values")
    parser.add_argument("--concurrency", type=int, default=16, metavar="N", help="requests of the store at once")
    parser.add_argument("--in-flight", type=int, default=64 << 20, metavar="BYTES", help="held at once")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)

    def write() -> Answer:
        limits = SizeLimits(options.max_chunk, options.max_unwritten)
        link = options.link or options.only_link
        wish = Wish(options.source, link, not options.only_link, limits, options.reader)
        client = s3_of_environment(options.concurrency)
        fast = fast_of_environment(options.bucket, options.concurrency)
        with Transfers(client, options.bucket, options.concurrency, options.in_flight, fast) as transfers:
            try:
                # of a file that is smaller than that, an ingest reads all at once
                first = options.block if link else 4 * options.data_block
                source = source_of(transfers, options.source, first)
                beside = Beside(options.source, partial(source_of, transfers), options.within, transfers.begin)
                with opened(options.source, source, options.block, options.data_block, beside) as of:
                    destination = Destination(options.bucket, options.root)
                    writer = Writer(of, wish, destination, transfers)
                    with telling(options.answer, writer.progress):
                        written = writer.write()
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                raise _refusal(error, options.bucket) from error
        return Answer("done", content=written.counts() | asdict(transfers.traffic) | {"source": asdict(source.version)})

    answer = answered(options.answer, write)
    if answer.verdict == "done" and not options.answer:
        print(json.dumps(answer.content))
    return 0 if answer.verdict == "done" else 2


def source_of(transfers: Transfers, name: str, first: int) -> S3Object | LocalFile:
    """The source, of which the first bytes are read with one request."""
    if not name.startswith("s3://"):
        return LocalFile(name)
    bucket, _, key = name.removeprefix("s3://").partition("/")
    try:
        return S3Object(transfers, bucket, key, first)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise Trouble(f"{name} cannot be read: {error}", cause_of(error)) from error


def _refusal(error: Exception, bucket: str) -> Trouble:
    """What a store that failed, or refused, is to a file: as a rule it is not the file's fault."""
    return Trouble(
        f"bucket {bucket} does not take what is written: {error}", "busy" if cause_of(error) == "busy" else "away"
    )


if __name__ == "__main__":
    sys.exit(main())
