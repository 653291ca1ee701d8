"""The source bucket, over the real S3 protocol."""

from __future__ import annotations

import json

import pytest

from bucket_loader.s3 import Source, SourceError, SourceUnavailable
from tests.world import World


@pytest.fixture(autouse=True)
def credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in world.servers.s3.env().items():
        monkeypatch.setenv(name, value)


def test_listing_by_prefix_and_suffixes(world: World) -> None:
    for key in ("a.h5", "b/c.nc", "b/d.h5", "b/e.txt", "b/größe + 100%.h5"):
        world.put(key, b"x")

    def keys(**settings: object) -> list[str]:
        return [item.key for page in Source(world.config(**settings)).list_pages() for item in page]

    assert keys() == ["a.h5", "b/c.nc", "b/d.h5", "b/e.txt", "b/größe + 100%.h5"]
    assert keys(src_suffix="h5") == ["a.h5", "b/d.h5", "b/größe + 100%.h5"]
    assert keys(src_suffix="h5,nc", src_prefix="/b/") == ["b/c.nc", "b/d.h5", "b/größe + 100%.h5"]


def test_more_keys_than_a_page_holds(world: World) -> None:
    client = world.servers.s3.client()
    for number in range(1005):
        client.put_object(Bucket=world.bucket, Key=f"{number:05}.h5", Body=b"")
    pages = list(Source(world.config()).list_pages())
    assert len(pages) == 2
    assert [item.key for page in pages for item in page] == [f"{number:05}.h5" for number in range(1005)]


def test_an_object_as_it_is_now(world: World) -> None:
    world.put("a.h5", b"12345")
    source = Source(world.config())
    found = source.head("a.h5")
    assert found is not None and (found.key, found.size) == ("a.h5", 5)
    assert found in [item for page in source.list_pages() for item in page], "HEAD and the listing say the same"
    world.put("a.h5", b"54321")
    assert source.head("a.h5") != found
    world.delete("a.h5")
    assert source.head("a.h5") is None


def test_a_bucket_that_is_not_there(world: World) -> None:
    with pytest.raises(SourceError, match=r"there is no bucket no-such-bucket at http://.*: check src_bucket"):
        Source(world.config(src_bucket="no-such-bucket")).check()


def test_wrong_credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceError, match=r"refuses these credentials .*: check the AWS keys or the role"):
        Source(world.config()).check()


def test_no_credentials(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such")
    with pytest.raises(SourceError, match=r"no credentials for bucket .* set AWS_ACCESS_KEY_ID"):
        Source(world.config()).check()


@pytest.mark.long
def test_an_endpoint_that_does_not_answer_passes(world: World) -> None:
    with pytest.raises(SourceUnavailable, match=r"bucket .* at http://127.0.0.1:9 does not answer"):
        Source(world.config(aws_s3_gateway="http://127.0.0.1:9")).check()


def test_what_children_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    env = Source(world.config()).child_env(whole_file=False)
    options = json.loads(env["FSSPEC_S3"])
    assert options["endpoint_url"] == world.servers.s3.endpoint
    assert (options["default_cache_type"], options["default_block_size"]) == ("blockcache", 262144)
    assert env["AWS_REQUEST_CHECKSUM_CALCULATION"] == "when_required"
    assert "token" not in options
    assert options["client_kwargs"]["verify"] is False, "there is no TLS"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-role")
    env = Source(world.config()).child_env(whole_file=True)
    options = json.loads(env["FSSPEC_S3"])
    assert options["token"] == "of-a-role", "hsload itself never passes a session token on"
    assert (options["default_cache_type"], options["default_block_size"]) == ("blockcache", 2 << 20)


def test_children_verify_where_there_is_tls(world: World) -> None:
    for gateway in ("https://store.example.org", None):
        options = json.loads(Source(world.config(aws_s3_gateway=gateway)).child_env(whole_file=False)["FSSPEC_S3"])
        assert options["endpoint_url"].startswith("https://")
        assert "verify" not in options.get("client_kwargs", {})


def test_a_public_bucket_is_read_without_credentials(world: World) -> None:
    env = Source(world.config(aws_s3_no_sign_request=True)).child_env(whole_file=False)
    assert json.loads(env["FSSPEC_S3"])["anon"] is True
    assert "AWS_ACCESS_KEY_ID" not in env
