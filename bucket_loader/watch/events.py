"""News of the bucket as S3's events in an SQS queue: a new object is known in seconds, whatever else is in the bucket.

A message says of which key there is news, and no more is taken from it: what the object is now is asked of the bucket.
So a message may come late, twice, and after its successor. One that cannot be read, or is of another bucket, stays in
the queue, whose redrive policy decides: it may be somebody else's.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import unquote_plus, urlsplit

import botocore.exceptions
from cachetools import TTLCache
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ..log import event, printable
from ..prefetch import in_order
from ..s3 import Source, SourceError, SourceObject, failure

WAIT_SECONDS = 5  # that the queue holds back its answer while it has nothing to say
BATCH_MESSAGES = 1000  # whose keys are looked up and appended together
_AT_ONCE = 10  # messages of one answer, and of one deletion: SQS's own limits
_MAX_KEY_BYTES = 1024  # S3's own limit
_HEADS = 16  # requests of the bucket at once
_SAID_SECONDS = 3600.0  # seconds between two complaints about a message that stays

_Text = Annotated[str, Field(min_length=1)]


class _Bucket(BaseModel):
    name: _Text


class _Object(BaseModel):
    key: _Text


class _Of(BaseModel):
    bucket: _Bucket
    object: _Object


class _Record(BaseModel):
    s3: _Of


class _Notification(BaseModel):
    """What S3 sends itself; keys are quoted as in a form."""

    Records: list[_Record]

    def named(self) -> list[tuple[str, str]]:
        return [(record.s3.bucket.name, unquote_plus(record.s3.object.key)) for record in self.Records]


class _Bridged(BaseModel):
    """What EventBridge passes on; keys are as they are."""

    source: Literal["aws.s3"]
    detail: _Of

    def named(self) -> list[tuple[str, str]]:
        return [(self.detail.bucket.name, self.detail.object.key)]


class _Test(BaseModel):
    """What S3 sends when a notification is set up: of no key."""

    Event: Literal["s3:TestEvent"]
    Bucket: _Text

    def named(self) -> list[tuple[str, str]]:
        return [(self.Bucket, "")]


class _Topic(BaseModel):
    """What a topic of SNS wraps around any of them."""

    Type: Literal["Notification"]
    Message: str


_EVENT: TypeAdapter[_Notification | _Bridged | _Test] = TypeAdapter(_Notification | _Bridged | _Test)


def keys_of(body: str, bucket: str) -> list[str]:
    """The keys that a message names; none for S3's test message. Raises ValueError for what is not of the bucket."""
    try:
        found = json.loads(body)
        if isinstance(found, dict) and "TopicArn" in found:
            found = json.loads(_Topic.model_validate(found).Message)
        named = _EVENT.validate_python(found).named()
    except (ValidationError, json.JSONDecodeError, RecursionError):
        raise ValueError("is no event of S3") from None
    for other, key in named:
        if other != bucket:
            raise ValueError(f"is of the bucket {other}, not of {bucket}")
        if len(key.encode()) > _MAX_KEY_BYTES:
            raise ValueError(f"names a key of more than {_MAX_KEY_BYTES} bytes")
    return [key for _, key in named if key]


@dataclass(frozen=True)
class Heard:
    """What some messages said: of which keys there is news, and the receipts by which the queue forgets them."""

    keys: frozenset[str]
    receipts: tuple[str, ...]


class Events:
    """The queue that the settings name, and what the bucket says of the keys in it. Not shared between threads."""

    def __init__(self, source: Source, address: str) -> None:
        self._source, self.address = source, address
        place = urlsplit(address)
        region = re.search(r"\bsqs(?:-fips)?\.([^.]+)\.", place.netloc)
        self._client = source.client_of_queue(f"{place.scheme}://{place.netloc}", region[1] if region else None)
        self._said: TTLCache[str, None] = TTLCache(10_000, _SAID_SECONDS)

    def check(self) -> None:
        """Raise SourceError unless the queue can be read."""
        with self._asking():
            self._client.get_queue_attributes(QueueUrl=self.address, AttributeNames=["VisibilityTimeout"])

    def receive(self) -> Heard:
        """What the queue has, up to BATCH_MESSAGES; waits up to WAIT_SECONDS for the first. Raises SourceError."""
        keys: set[str] = set()
        receipts: list[str] = []
        wait, received = WAIT_SECONDS, 0
        while received < BATCH_MESSAGES:
            with self._asking():
                answer = self._client.receive_message(
                    QueueUrl=self.address, MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=wait
                )
            messages = answer.get("Messages", [])
            received += len(messages)
            for message in messages:
                try:
                    keys.update(keys_of(message["Body"], self._source.bucket))
                except ValueError as error:
                    self._complain(message["MessageId"], message["Body"], error)
                else:
                    receipts.append(message["ReceiptHandle"])
            if len(messages) < _AT_ONCE:
                break
            wait = 1
        return Heard(frozenset(filter(self._source.wants, keys)), tuple(receipts))

    def _complain(self, number: str, body: str, error: ValueError) -> None:
        if number not in self._said:
            self._said[number] = None
            event(
                logging.WARNING,
                "a message stays in the queue",
                message=number,
                reason=error,
                body=printable(body[:200]),
            )

    def objects(self, heard: Heard) -> tuple[list[SourceObject], list[str]]:
        """What the bucket has of these keys now, and which of them it has not. Raises SourceError."""
        keys = sorted(heard.keys)
        found = list(in_order(keys, [self._source.head] * _HEADS))
        return [one for one in found if one], [key for key, one in zip(keys, found, strict=True) if one is None]

    def acknowledge(self, heard: Heard) -> None:
        """Let the queue forget what was heard; what it does not comes again, and does no harm. Raises SourceError."""
        for first in range(0, len(heard.receipts), _AT_ONCE):
            some = heard.receipts[first : first + _AT_ONCE]
            with self._asking():
                self._client.delete_message_batch(
                    QueueUrl=self.address,
                    Entries=[{"Id": str(place), "ReceiptHandle": receipt} for place, receipt in enumerate(some)],
                )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        where = f"the queue {self.address}"
        try:
            yield
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise failure(
                error,
                where,
                lambda code, _: SourceError(
                    f"{where} refuses ({code}): check src_events, and that the AWS keys or the role may receive and "
                    "delete its messages"
                ),
            ) from error
