"""What botocore reads from its files to make an S3 client, read once, by the process that forks.

A tool makes a client for each file. Half of the CPU time of that goes into botocore's files: 600 kB of JSON, and a scan
of the folders of 400 services to find the one of S3. A session is made beforehand, too, because it registers 120
functions.
"""

from __future__ import annotations

from contextlib import suppress

import boto3
import botocore
import botocore.loaders
import botocore.session
from aiobotocore.session import AioSession
from botocore.config import Config
from botocore.exceptions import BotoCoreError

# a loader keeps what it has read
_LOADER = botocore.loaders.create_loader()


def _read() -> None:
    """Make a client, only to have its files read: it connects to nothing and has no credentials."""
    session = botocore.session.Session()
    session.register_component("data_loader", _LOADER)
    # no client can be made with these settings: the child will say so when it makes its own
    with suppress(BotoCoreError, ValueError, OSError):
        session.create_client("s3", "us-east-1", config=Config(signature_version=botocore.UNSIGNED))


def session() -> AioSession:
    """A session that has these files already, one for each child; it reads the environment when it makes a client."""
    return _SESSION


def boto3_session() -> boto3.session.Session:
    """The same for boto3, which is not asynchronous."""
    return _BOTO3_SESSION


_read()
_SESSION, _core_session = AioSession(), botocore.session.Session()
for _made in (_SESSION, _core_session):
    _made.register_component("data_loader", _LOADER)
_BOTO3_SESSION = boto3.session.Session(botocore_session=_core_session)
