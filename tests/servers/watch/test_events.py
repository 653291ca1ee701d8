"""News of the bucket by S3's events, from a server that has both protocols and sends the events itself (moto's)."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest

from bucket_loader.config import Config
from bucket_loader.domains import Domains
from bucket_loader.inventory.states import State
from bucket_loader.local.servers import free_port
from bucket_loader.s3 import Source, SourceError
from bucket_loader.watch import events
from bucket_loader.watch.events import Events
from bucket_loader.watch.watcher import Pass, Watcher
from tests.waiting import until
from tests.world import World

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BUCKET = "with-events"
REGION = "us-west-2"


@dataclass
class Store:
    """A store that was started for one test."""

    endpoint: str
    s3: S3Client
    sqs: SQSClient
    queue: str
    process: subprocess.Popen[bytes]

    def put(self, key: str, body: bytes = b"x") -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def say(self, body: object) -> None:
        """A message that S3 did not send."""
        text = body if isinstance(body, str) else json.dumps(body)
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=text)

    @property
    def waiting(self) -> int:
        """Messages that are not forgotten, also those that somebody has received."""
        counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=list(counts))["Attributes"]
        return sum(int(found[name]) for name in counts)


def record(key: str, bucket: str = BUCKET, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """What S3 writes of an object; the key as in a form."""
    return {"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 99}}}]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    port = free_port()
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "moto.log").open("wb"))
        program = Path(sys.prefix) / "moto" / "bin" / "moto_server"
        process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
        stack.enter_context(mock.patch.dict(os.environ, keys))
        stack.enter_context(mock.patch.object(events, "WAIT_SECONDS", 1))
        endpoint = f"http://127.0.0.1:{port}"
        s3, sqs = (boto3.client(name, endpoint_url=endpoint, region_name=REGION) for name in ("s3", "sqs"))
        until(lambda: answers(s3))
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        queue = sqs.create_queue(QueueName="news", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
            },
        )
        yield Store(endpoint, s3, sqs, queue, process)


def answers(s3: S3Client) -> bool:
    try:
        s3.list_buckets()
    except Exception:
        return False
    return True


def settings(world: World, store: Store, **more: object) -> Config:
    own = {"src_bucket": BUCKET, "aws_s3_gateway": store.endpoint, "aws_region": REGION, "src_events": store.queue}
    return world.config(**own | {"src_suffix": "h5"} | more)


class Watching:
    """A watcher that has made its first scan, and the queue that it listens to."""

    def __init__(self, world: World, store: Store, **more: object) -> None:
        config = settings(world, store, **more)
        self.source = Source(config)
        self.events = Events(self.source, config.src_events or "")
        self.watcher = Watcher(self.source, world.inventory(), Domains(world.folder, world.inventory_domain))
        self.watcher.scan()
        self.asked: list[str] = []
        self.source.client.meta.events.register("before-call.s3", lambda model, **_: self.asked.append(model.name))

    def hear(self) -> Pass:
        heard = self.events.receive()
        done = self.watcher.hear(*self.events.objects(heard))
        self.events.acknowledge(heard)
        return done


def states(world: World) -> dict[str, State]:
    return {row.filename: row.state for row in world.inventory().rows()}


def test_a_new_object_is_known_without_a_listing(world: World, store: Store) -> None:
    world.make_inventory()
    store.put("there before.h5")
    watching = Watching(world, store)
    assert watching.hear().news == 0, "of what the scan saw, and S3's test message"
    store.put("a new one/ä+%41 &.h5", b"xyz")
    store.put("no hdf5.txt")
    done = watching.hear()
    assert (done.added, done.news) == (1, 1)
    row = world.rows()["a new one/ä+%41 &.h5"]
    assert (row["state"], row["size"]) == ("new", 3)
    assert set(watching.asked) == {"HeadObject"} and store.waiting == 0
    assert watching.watcher.scan().news == 0, "a listing says the same of it"


def test_objects_that_change_and_go(world: World, store: Store) -> None:
    world.make_inventory()
    store.put("a.h5")
    watching = Watching(world, store)
    store.put("a.h5", b"newer")
    assert watching.hear().changed == 1
    store.s3.delete_object(Bucket=BUCKET, Key="a.h5")
    store.say(record("a.h5", name="ObjectRemoved:Delete"))  # moto sends none where no version is kept
    assert watching.hear().vanished == 1
    assert watching.hear().news == 0
    store.put("a.h5", b"newer")
    assert watching.hear().returned == 1
    assert {key: (row["size"], row["vanished"]) for key, row in world.rows().items()} == {"a.h5": (5, 0)}


def test_messages_may_come_twice_and_late_and_in_any_order(world: World, store: Store) -> None:
    world.make_inventory()
    watching = Watching(world, store)
    store.put("there.h5")
    for body in (
        record("there.h5", name="ObjectRemoved:Delete"),
        record("there.h5"),
        record("gone.h5"),
        {"TopicArn": "arn:aws:sns:us-west-2:1:t", "Type": "Notification", "Message": json.dumps(record("there.h5"))},
        {"source": "aws.s3", "detail": {"bucket": {"name": BUCKET}, "object": {"key": "there.h5"}}},
    ):
        store.say(body)
    assert watching.hear().news == 1
    store.say(record("there.h5"))
    assert watching.hear().news == 0
    assert states(world) == {"there.h5": State.NEW} and store.waiting == 0


def test_what_is_no_event_of_this_bucket_stays_in_the_queue(
    world: World, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bucket_loader"), "propagate", True)
    world.make_inventory()
    watching = Watching(world, store)
    watching.hear()
    odd = [
        "no JSON",
        "[" * 100_000,
        "[]",
        "{}",
        {"Records": [{}]},
        record("b.h5", bucket="another"),
        record("k" * 2000),
    ]
    for body in odd:
        store.say(body)
    store.put("good.h5")
    done = Pass()
    while done.news == 0:
        done = watching.hear()
    until(lambda: watching.hear().news == 0 and store.waiting == len(odd))
    assert states(world) == {"good.h5": State.NEW}
    said = [line for line in caplog.messages if "a message stays in the queue" in line]
    assert len(said) == len(odd), "each once, however often it comes"
    assert any("is of the bucket another, not of with-events" in line for line in said)


def test_a_message_is_forgotten_after_its_row_is_in_storage(world: World, store: Store) -> None:
    world.make_inventory()
    watching = Watching(world, store)
    store.put("a.h5")
    heard = watching.events.receive()
    watching.watcher.hear(*watching.events.objects(heard))  # and here the watcher dies
    world.servers.cluster.restart()
    assert states(world) == {"a.h5": State.NEW}
    anew = Watching(world, store)
    until(lambda: anew.hear().news == 0 and store.waiting == 0)
    assert states(world) == {"a.h5": State.NEW}


def test_a_change_back_that_no_event_told_is_found_by_the_next_scan(world: World, store: Store) -> None:
    world.make_inventory()
    store.put("a.h5", b"old")
    watching = Watching(world, store)
    first = watching.source.head("a.h5")
    assert first is not None
    store.put("a.h5", b"newer")
    assert watching.hear().changed == 1
    with mock.patch.object(watching.source, "list_pages", lambda: iter([[first]])):
        assert watching.watcher.scan().changed == 1, "the page is as it was a scan ago, and the row is not"


def test_a_change_back_that_an_event_told_is_no_page_of_an_earlier_scan(world: World, store: Store) -> None:
    world.make_inventory()
    store.put("a.h5", b"old")
    watching = Watching(world, store)
    for _ in range(2):  # a page is remembered when it had no news, and known to the scan after that
        watching.watcher.scan()
    first = watching.source.head("a.h5")
    assert first is not None
    store.put("a.h5", b"newer")
    assert watching.hear().changed == 1
    assert watching.watcher.hear([first], []).changed == 1


@pytest.mark.long
def test_a_watcher_listens_and_scans_where_the_queue_is_away(world: World, store: Store) -> None:
    world.make_inventory()
    env = {
        key.upper(): str(value)
        for key, value in settings(world, store).model_dump(mode="json").items()
        if key in ("src_bucket", "aws_s3_gateway", "aws_region", "src_events")
    }
    keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    with world.running("watcher.py", env=env | keys | {"LOG_LEVEL": "DEBUG"}) as watcher:
        store.put("a.h5")
        until(lambda: "a.h5" in states(world))
        until(lambda: store.waiting == 0)
        store.sqs.delete_queue(QueueUrl=store.queue)
        store.put("b.h5")
        until(lambda: "b.h5" in states(world))
        watcher.terminate()
        said = watcher.communicate(timeout=30)[0]
    assert watcher.returncode == 0, said
    assert "heard of news" in said
    assert f"scan broke off: the queue {store.queue} refuses (" in said, said
    before = said.partition("scan broke off")[0]
    assert before.count(" scanned ") == 1, "the one at the start"


@pytest.mark.long
def test_a_queue_that_is_not_there(world: World, store: Store) -> None:
    queue = Events(Source(settings(world, store)), store.queue + "-else")
    with pytest.raises(SourceError, match=r"news-else refuses .*check src_events"):
        queue.check()
    store.process.kill()
    store.process.wait()
    with pytest.raises(SourceError, match="news-else does not answer"):
        queue.check()
