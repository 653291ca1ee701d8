"""What a message of the queue names."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucket_loader.watch.events import keys_of

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["Records", "s3", "bucket", "TopicArn", "x"]), inner)
    ),
)


def of_s3(*keys: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": quote_plus(key)}}} for key in keys]}


@given(st.lists(KEYS, max_size=3), st.booleans())
def test_every_key_comes_back_as_it_is(keys: list[str], by_topic: bool) -> None:
    body: dict[str, Any] = of_s3(*keys)
    if by_topic:
        body = {"TopicArn": "arn", "Type": "Notification", "Message": json.dumps(body)}
    assert keys_of(json.dumps(body), "b") == keys
    for key in keys:
        bridged = {"source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": key}}}
        assert keys_of(json.dumps(bridged), "b") == [key]


def test_the_test_message_names_none() -> None:
    assert keys_of('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}', "b") == []


@given(st.text() | JSON.map(json.dumps))
def test_whatever_else_is_said_is_one_error(body: str) -> None:
    try:
        assert keys_of(body, "b") == []
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (of_s3("k" * 1025), "more than 1024 bytes"),
        (of_s3("ok.h5") | {"x": 1}, None),
        ({"Records": [{"s3": {"bucket": {"name": "c"}, "object": {"key": "k"}}}]}, "of the bucket c, not of b"),
        ({"source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": "\ud800"}}}, "no event"),
    ],
)
def test_keys_that_no_object_has(body: dict[str, Any], words: str | None) -> None:
    if words is None:
        assert keys_of(json.dumps(body), "b") == ["ok.h5"]
    else:
        with pytest.raises(ValueError, match=words):
            keys_of(json.dumps(body), "b")
