"""What botocore reads from its files to make an S3 client, read once, by the process that forks.

A tool makes a client for one file. Half of the CPU that this takes are botocore's files: 600 kB of JSON, and a walk
through the folders of 400 services to see that S3 is one. A session, too, is made before: it registers 120 functions.
"""

from __future__ import annotations

import os
from contextlib import suppress

import boto3
import botocore
import botocore.loaders
import botocore.session
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.exceptions import BotoCoreError

# a loader keeps what it has read
_LOADER = botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))


def _read() -> None:
    """Make a client, for nothing but the files that it reads. It connects to nothing and knows nobody's keys."""
    session = botocore.session.Session()
    session.register_component("data_loader", _LOADER)
    # settings that make no client: the child will say so, when it makes one of its own
    with suppress(BotoCoreError, ValueError, OSError):
        session.create_client("s3", "us-east-1", config=Config(signature_version=botocore.UNSIGNED))


def session() -> AioSession:
    """A session that finds these files read; the environment it reads when it makes a client. One for a child."""
    return _SESSION


def boto3_session() -> boto3.session.Session:
    """The same for boto3, which is not asynchronous."""
    return _BOTO3_SESSION


_read()
_SESSION, _core_session = AioSession(), botocore.session.Session()
for _made in (_SESSION, _core_session):
    _made.register_component("data_loader", _LOADER)
_BOTO3_SESSION = boto3.session.Session(botocore_session=_core_session)
