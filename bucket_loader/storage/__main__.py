"""`python -m bucket_loader.storage SOURCE ROOT`: write a file's objects into a bucket, as HSDS keeps them.

A child of the loader: a broken file may crash or hang the HDF5 library. No domain names the root yet; a failure leaves
objects under it, which are nobody's. Exit status 0, or 2 when the file cannot be loaded in this way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import botocore.exceptions

from ..causes import Trouble
from ..children.answer import Answer
from ..children.answering import answered, child_parser, open_source, s3_of_environment
from .oversize import SizeLimits
from .transfers import Transfers
from .write import Target, Wish, Writer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = child_parser("storage", "Write a file's objects into a bucket, as HSDS keeps them.")
    parser.add_argument("root", help="16 hexadecimal digits, which no root in the bucket has")
    parser.add_argument("--bucket", required=True, help="of HSDS")
    linked = parser.add_mutually_exclusive_group()
    linked.add_argument("--link", action="store_true", help="leave the data where it is, as far as HSDS can read it")
    linked.add_argument("--only-link", action="store_true", help="refuse a file with data that cannot be linked")
    parser.add_argument("--reader", action="append", default=[], metavar="VERSION", help="of HSDS that is to read it")
    parser.add_argument("--max-chunk", type=int, default=SizeLimits.chunk, metavar="BYTES")
    parser.add_argument("--max-unwritten", type=int, default=SizeLimits.unwritten, metavar="BYTES")
    parser.add_argument("--concurrency", type=int, default=16, metavar="N", help="requests of the store at once")
    parser.add_argument("--in-flight", type=int, default=64 << 20, metavar="BYTES", help="held at once")
    options = parser.parse_args(arguments)

    def write() -> Answer:
        limits = SizeLimits(options.max_chunk, options.max_unwritten)
        link = options.link or options.only_link
        wish = Wish(options.source, link, not options.only_link, limits, options.reader)
        client = s3_of_environment(options.concurrency)
        try:
            with (
                open_source(options.source) as file,
                Transfers(client, options.concurrency, options.in_flight) as transfers,
            ):
                writer = Writer(
                    file, wish, Target(options.bucket, options.root), transfers, _reader(options.source, transfers)
                )
                written = writer.write()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise Trouble(f"the store refuses or does not answer: {error}", "away") from error
        traffic = asdict(transfers.traffic)
        return Answer("done", content=written.counts() | traffic)

    answer = answered(options.answer, write)
    if answer.verdict == "done" and not options.answer:
        print(json.dumps(answer.content))
    return 0 if answer.verdict == "done" else 2


def _reader(source: str, transfers: Transfers):  # type: ignore[no-untyped-def]
    """What gives bytes of the source: from the store, or from a local file."""
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        return lambda first, size: transfers.get(bucket, key, first, size)

    def read(first: int, size: int) -> bytes:
        with Path(source).open("rb") as stream:
            stream.seek(first)
            data = stream.read(size)
        if len(data) != size:
            raise OSError(f"{source} has {len(data)} bytes at {first} where its index says {size}")
        return data

    return read


if __name__ == "__main__":
    sys.exit(main())
