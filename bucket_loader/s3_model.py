"""The S3 operations that HSDS uses, as a data model for botocore, to be named by AWS_DATA_PATH.

    python -m bucket_loader.s3_model FOLDER

HSDS makes an S3 client for each storage call, and botocore makes a method of it for each operation of its model: 110,
of which HSDS calls five. That is a quarter of what a client costs, and clients are two fifths of a data node's CPU.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import botocore.loaders

# what HSDS calls; below, what botocore calls by itself, for a bucket of another region and for directory buckets
OPERATIONS = (
    "GetObject",
    "PutObject",
    "HeadObject",
    "DeleteObject",
    "ListObjectsV2",
    "HeadBucket",
    "CreateSession",
)


def write(folder: Path) -> None:
    """Write the installed botocore's model of S3 into `folder`, with these operations alone."""
    loader = botocore.loaders.Loader()
    version = loader.determine_latest_version("s3", "service-2")
    model = loader.load_service_model("s3", "service-2", version)
    model["operations"] = {name: model["operations"][name] for name in OPERATIONS}
    target = folder / "s3" / version
    target.mkdir(parents=True, exist_ok=True)
    (target / "service-2.json").write_text(json.dumps(model))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
