"""What HSDS needs of botocore's data about S3, to be named by AWS_DATA_PATH.

    python -m bucket_loader.deploy.s3_model FOLDER

HSDS makes an S3 client for each storage call. botocore makes a method of it for each operation of S3's model: 110, of
which HSDS calls five. It makes an object of each of the 400 rules that give a request its address, half of them for
buckets that HSDS cannot have. And to explain an error it looks at each of 680 shapes. All that is more than a third of
what a call costs, and calls are most of a data node's CPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# what rules ask that are for something else than a bucket: an access point, an object lambda, no bucket at all. The
# name of a domain has the bucket before its first slash, and these have colons and slashes in theirs, or end like that
LEFT_OUT = ('"bucketArn"', "--xa-s3", "--op-s3", "UseObjectLambdaEndpoint", "UseS3ExpressControlEndpoint")
_REASON = "the S3 model in AWS_DATA_PATH is for plain buckets: bucket_loader.deploy.s3_model left this kind out"

# of botocore's data: JSON
Data = Any


def write(folder: Path) -> None:
    """Write what the installed botocore knows of S3 into `folder`, without what HSDS has no use for."""
    loader = botocore.loaders.Loader()
    version = loader.determine_latest_version("s3", "service-2")
    parts = {"service-2": _model, "endpoint-rule-set-1": _rules}
    target = folder / "s3" / version
    target.mkdir(parents=True, exist_ok=True)
    for name, lessen in parts.items():
        data = lessen(loader.load_service_model("s3", name, version))
        (target / f"{name}.json").write_text(json.dumps(data))


def _model(model: Data) -> Data:
    """The model with these operations, and the shapes that they name."""
    operations = {name: model["operations"][name] for name in OPERATIONS}
    shapes: dict[str, Data] = {}
    wanted = set(_names(operations))
    while wanted:
        shapes |= {name: model["shapes"][name] for name in wanted}
        wanted = {name for shape in shapes.values() for name in _names(shape)} - shapes.keys()
    return {**model, "operations": operations, "shapes": shapes}


def _names(data: Data) -> Iterator[str]:
    """The shapes that a part of the model refers to."""
    match data:
        case {"shape": str(name)}:
            yield name
        case dict():
            yield from _names(list(data.values()))
        case list():
            for part in data:
                yield from _names(part)


def _rules(rule: Data) -> Data:
    """The tree of rules without the branches that are left out, each of which becomes an error that says so."""
    if "rules" not in rule:
        return rule
    asked = json.dumps(rule.get("conditions", []))
    if any(words in asked for words in LEFT_OUT):
        return {"type": "error", "conditions": rule["conditions"], "error": _REASON}
    return {**rule, "rules": [_rules(part) for part in rule["rules"]]}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
