"""The smaller model of S3: it has all that HSDS calls."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.loaders
import botocore.session
import hsds.util.s3Client
import pytest
from botocore import xform_name

from bucket_loader import s3_model


def test_hsds_finds_every_operation_that_it_calls() -> None:
    source = Path(hsds.util.s3Client.__file__).read_text()
    called = {
        *re.findall(r"_client\.(?!get_paginator)(\w+)\(", source),
        *re.findall(r'get_paginator\("(\w+)"\)', source),
    }
    assert {"get_object", "put_object", "list_objects_v2"} <= called, "the pattern no longer fits HSDS's source"
    assert called <= {xform_name(name) for name in s3_model.OPERATIONS}


def test_botocore_takes_the_model_and_no_other_operation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_model.write(tmp_path)
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    client = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    assert set(client.meta.method_to_api_mapping.values()) == set(s3_model.OPERATIONS)
    assert client.can_paginate("list_objects_v2")
