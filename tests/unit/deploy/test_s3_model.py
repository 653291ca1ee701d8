"""The smaller model of S3: it has all that HSDS calls."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.loaders
import botocore.session
import hsds.util.s3Client
import pytest
from botocore import xform_name
from botocore.config import Config

from bucket_loader.deploy import s3_model


def test_hsds_finds_every_operation_that_it_calls() -> None:
    source = Path(hsds.util.s3Client.__file__).read_text()
    called = {
        *re.findall(r"_client\.(?!get_paginator)(\w+)\(", source),
        *re.findall(r'get_paginator\("(\w+)"\)', source),
    }
    assert {"get_object", "put_object", "list_objects_v2"} <= called, "the pattern no longer fits HSDS's source"
    assert called <= {xform_name(name) for name in s3_model.OPERATIONS}


@pytest.fixture(scope="module")
def lessened(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models")
    s3_model.write(folder)
    return str(folder)


@pytest.fixture(scope="module")
def loader(lessened: str) -> botocore.loaders.Loader:
    return botocore.loaders.create_loader(lessened)


@pytest.fixture(scope="module")
def whole() -> botocore.loaders.Loader:
    return botocore.loaders.create_loader()


def address(client: Any, bucket: str) -> str:
    """What the rules say; by presigning, a directory bucket would ask S3 for a session first."""
    operation = client.meta.service_model.operation_model("HeadObject")
    try:
        return str(client._resolve_endpoint_ruleset(operation, {"Bucket": bucket, "Key": "k"}, {})[0])
    except botocore.exceptions.BotoCoreError as error:
        return str(error)


def client_with(loader: botocore.loaders.Loader, region: str = "us-east-1", **settings: Any) -> Any:
    core = botocore.session.Session()
    core.register_component("data_loader", loader)
    options = Config(**{name: settings[name] for name in ("s3", "use_fips_endpoint") if name in settings})
    return core.create_client(
        "s3",
        region,
        endpoint_url=settings.get("endpoint_url"),
        config=options,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )


def test_botocore_takes_the_model_and_no_other_operation(lessened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DATA_PATH", lessened)
    client = botocore.session.Session().create_client(
        "s3", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    assert set(client.meta.method_to_api_mapping.values()) == set(s3_model.OPERATIONS)
    assert client.can_paginate("list_objects_v2")
    assert issubclass(client.exceptions.NoSuchKey, botocore.exceptions.ClientError)


def test_every_shape_that_is_referred_to_is_there(loader: botocore.loaders.Loader) -> None:
    model = loader.load_service_model("s3", "service-2")
    refers = set(re.findall(r'"shape": "(\w+)"', json.dumps(model)))
    assert {"GetObjectOutput", "NoSuchKey", "ObjectList"} <= refers
    assert refers <= set(model["shapes"]) and len(model["shapes"]) < 200


@pytest.mark.slow
@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"endpoint_url": "http://127.0.0.1:9000"},
        {"endpoint_url": "https://store.example.org/base"},
        {"endpoint_url": "https://store.example.org", "s3": {"addressing_style": "virtual"}},
        {"s3": {"addressing_style": "path"}},
        {"s3": {"addressing_style": "virtual"}},
        {"s3": {"use_dualstack_endpoint": True}},
        {"s3": {"use_accelerate_endpoint": True}},
        {"use_fips_endpoint": True},
    ],
    ids=str,
)
def test_a_bucket_has_the_address_that_it_has_by_all_rules(
    whole: botocore.loaders.Loader, loader: botocore.loaders.Loader, settings: dict[str, Any], region: str
) -> None:
    by_all, by_these = client_with(whole, region, **settings), client_with(loader, region, **settings)
    for bucket in ("plain-bucket", "with.dots", "Under_Score", "directory--use1-az4--x-s3"):
        assert address(by_these, bucket) == address(by_all, bucket)


@pytest.mark.parametrize(
    "bucket",
    [
        "arn:aws:s3:us-east-1:123456789012:accesspoint/point",
        "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/point",
        "point--use1-az4--xa-s3",
        f"point-o{17 * '0'}{20 * 'a'}use10--op-s3",
    ],
)
def test_what_was_left_out_says_so(
    whole: botocore.loaders.Loader, loader: botocore.loaders.Loader, bucket: str
) -> None:
    assert address(client_with(whole), bucket).startswith("https://")
    assert "bucket_loader.deploy.s3_model left this kind out" in address(client_with(loader), bucket)
