"""The nearest relative of a link: Kerchunk makes references to the chunks of HDF5 files, one JSON for each.

    kerchunk_links.py SOURCE_BUCKET TARGET_BUCKET COUNT WORKERS

The files are 0.h5 and so on; the store is that of AWS_* and FSSPEC_S3_ENDPOINT_URL. As many processes as workers, with
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
    bucket, target, count, workers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with get_context("spawn").Pool(workers) as pool:
        pool.starmap(link, [(f"{bucket}/0.h5", f"{target}/kerchunk/warm")] * workers, chunksize=1)
        began = time.monotonic()
        names = [(f"{bucket}/{number}.h5", f"{target}/kerchunk/{bucket}/{number}.json") for number in range(count)]
        pool.starmap(link, names, chunksize=1)
        print(time.monotonic() - began)


if __name__ == "__main__":
    main()
