"""The nearest relative of a link: Kerchunk makes references to the chunks of HDF5 files, one JSON for each.

    kerchunk_links.py SOURCE_BUCKET TARGET_BUCKET WORKERS KEY...

The store is that of AWS_* and FSSPEC_S3_ENDPOINT_URL. As many processes as workers, with
all imported and started before the clock starts. Prints the seconds. It runs in an environment of its own (`make
bench-direct`).
"""

from __future__ import annotations

import json
import sys
import time
from multiprocessing import get_context

import fsspec
from kerchunk.hdf import SingleHdf5ToZarr


def link(source: str, target: str) -> None:
    store = fsspec.filesystem("s3")
    with store.open(source, "rb", block_size=256 << 10, cache_type="blockcache") as file:
        references = SingleHdf5ToZarr(file, f"s3://{source}", inline_threshold=100).translate()
    store.pipe_file(target, json.dumps(references).encode())


def main() -> None:
    bucket, target, workers, keys = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    with get_context("spawn").Pool(workers) as pool:
        pool.starmap(link, [(f"{bucket}/{keys[0]}", f"{target}/kerchunk/warm")] * workers, chunksize=1)
        began = time.monotonic()
        pool.starmap(link, [(f"{bucket}/{key}", f"{target}/kerchunk/{bucket}/{key}.json") for key in keys], chunksize=1)
        print(time.monotonic() - began)


if __name__ == "__main__":
    main()
