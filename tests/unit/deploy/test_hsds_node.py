"""The clients of S3 that a node of ours keeps; that it can be reached from here alone: `local/test_servers.py`."""

from __future__ import annotations

import asyncio
from typing import Any

import botocore.exceptions
import pytest

from bucket_loader.deploy.hsds_node import KeptClients

S3: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:9", "aws_secret_access_key": "word"}


async def client(session: KeptClients, key: str = "one", **settings: Any) -> Any:
    async with session.create_client("s3", aws_access_key_id=key, **S3 | settings) as made:
        return made


def test_the_same_credentials_have_one_client_and_new_ones_another() -> None:
    async def clients() -> list[Any]:
        session = KeptClients()
        same = await asyncio.gather(*(client(session) for _ in range(3)))
        return [*same, await client(session), await client(session, "two"), await client(session, "two")]

    *first, second, again = asyncio.run(clients())
    assert all(one is first[0] for one in first)
    assert second is again and second is not first[0]


def test_one_that_cannot_be_made_is_tried_again() -> None:
    async def make(session: KeptClients) -> None:
        for _ in range(2):
            with pytest.raises(botocore.exceptions.BotoCoreError):
                await client(session, region_name="no region")

    asyncio.run(make(KeptClients()))
