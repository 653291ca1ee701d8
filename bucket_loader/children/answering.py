"""The frame of our children: each opens a source, finds something out or does something, and leaves its answer.

By hand, without `--answer`, they say it on the screen.
"""

from __future__ import annotations

import argparse
import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from ..causes import Trouble, cause_of
from ..hsds import Hsds, HsdsError
from ..log import complain
from .answer import Answer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Store

    from .signed_reads import SignedReads

_PACKAGE = __package__.partition(".")[0]
_EXPECTED = (Trouble, HsdsError, OSError, RuntimeError, ValueError)


def child_parser(command: str, description: str, reads_beside: bool = False) -> argparse.ArgumentParser:
    """The arguments of a child: a source, and what it adds; `reads_beside`: it also reads files that this one names."""
    made = argparse.ArgumentParser(prog=f"python -m {_PACKAGE}.{command}", description=description)
    made.add_argument("source", help="a path, or s3://bucket/key (settings: AWS_*, FSSPEC_S3)")
    if reads_beside:
        help = "of the objects that it may name; default: any"
        made.add_argument("--within", action="append", default=[], metavar="PREFIX", help=help)
    made.add_argument("--answer", metavar="FILE", help="write the answer there, as JSON, for another program")
    return made


def hsds_of_environment() -> Hsds:
    """The HSDS that a worker has put into this child's environment (`Tools.env`), or a person by hand."""
    of = os.environ.get
    return Hsds(of("HS_ENDPOINT", ""), of("HS_USERNAME"), of("HS_PASSWORD"), of("HS_BUCKET"))


def s3_of_environment(connections: int) -> S3Client:
    """A client for the store that a worker has put into this child's environment (`Source.child_env`), for threads.

    It tries again what the store is too busy for, with growing pauses. The same one for the same environment: a child
    that is kept for several files keeps its connections.
    """
    return _client(connections, _about_the_store())


@dataclass(frozen=True)
class Fast:
    """Ways to a store with a part of boto3's CPU time, and without its retries."""

    puts: S3Store
    reads: SignedReads


def fast_of_environment(bucket: str, connections: int) -> Fast | None:
    """The same store: PUTs to a bucket with a tenth of boto3's CPU time, and reads with a third.

    None where that is not possible: they know neither certificates of one's own nor boto3's ways to find credentials.
    """
    return _fast(bucket, connections, _about_the_store())


def _about_the_store() -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "FSSPEC_")))


def _settings(variables: frozenset[tuple[str, str]]) -> dict[str, Any]:
    """What s3fs is told of the store, with "client_kwargs", which it hands on."""
    said: dict[str, Any] = json.loads(dict(variables).get("FSSPEC_S3") or "{}")
    return {"client_kwargs": {}} | said


# -- one of each for the same settings, which a child that is kept goes on with ---------------------------------------


@cache
def _client(connections: int, variables: frozenset[tuple[str, str]]) -> S3Client:
    from botocore.config import Config as ClientConfig

    from .boto_data import boto3_session

    settings = _settings(variables)
    named = settings["client_kwargs"]
    options = ClientConfig(
        retries={"mode": "standard", "max_attempts": 10},
        parameter_validation=False,  # a fifth of the CPU of a small PUT, whose parameters are always the same
        max_pool_connections=connections,
        connect_timeout=10,
        read_timeout=60,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **_signature(variables),
    )
    return boto3_session().client(
        "s3",
        endpoint_url=settings.get("endpoint_url"),
        region_name=named.get("region_name"),
        verify=named.get("verify"),
        aws_access_key_id=settings.get("key"),
        aws_secret_access_key=settings.get("secret"),
        aws_session_token=settings.get("token"),
        config=options,
    )


@cache
def _fast(bucket: str, connections: int, variables: frozenset[tuple[str, str]]) -> Fast | None:
    from .signed_reads import SignedReads

    if not _is_plain(variables):
        return None
    return Fast(_puts(bucket, variables), SignedReads(_client(connections, variables)))


def _signature(variables: frozenset[tuple[str, str]]) -> dict[str, Any]:
    import botocore

    if _settings(variables).get("anon"):
        return {"signature_version": botocore.UNSIGNED}
    # as for requests anyway; addresses would have version 2 else
    return {"signature_version": "s3v4"} if _is_plain(variables) else {}


def _is_plain(variables: frozenset[tuple[str, str]]) -> bool:
    """Whether the settings name a store's address and a key pair, and it has no certificate of one's own."""
    settings = _settings(variables)
    if not all(settings.get(name) for name in ("endpoint_url", "key", "secret")):
        return False
    return settings["endpoint_url"].startswith("http://") or "AWS_CA_BUNDLE" not in dict(variables)


def _puts(bucket: str, variables: frozenset[tuple[str, str]]) -> S3Store:
    from obstore.store import S3Store

    settings = _settings(variables)
    endpoint = settings["endpoint_url"]
    return S3Store(
        bucket,
        endpoint=endpoint,
        region=settings["client_kwargs"].get("region_name") or "us-east-1",
        access_key_id=settings["key"],
        secret_access_key=settings["secret"],
        **({"session_token": settings["token"]} if settings.get("token") else {}),
        unsigned_payload=endpoint.startswith("https://"),  # TLS keeps it whole, as boto3 has it, too
        virtual_hosted_style_request=False,  # path style: right for every store, and for every name of a bucket
        client_options={"allow_http": True, "connect_timeout": "10s", "timeout": "2m"},
        retry_config={"max_retries": 0},
    )


@contextmanager
def open_source(name: str) -> Iterator[h5py.File]:
    """The file, local or in S3. Raises `Trouble`."""
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  filters that h5py does not bring along
    try:
        if name.startswith("s3://"):
            import fsspec

            with fsspec.open(name, "rb") as stream, h5py.File(stream, "r") as file:
                yield file
        else:
            with h5py.File(name, "r") as file:
                yield file
    except (OSError, ImportError) as error:
        raise Trouble(f"{name} cannot be read: {error}", cause_of(error)) from error


def answered(path: str | None, find: Callable[[], Answer]) -> Answer:
    """What `find` comes to, or the trouble that it met, which is said on the screen, too; written to a file."""
    try:
        answer = find()
    except Exception as error:
        if isinstance(error, _EXPECTED):
            complain(f"trouble: {error}")
            answer = Answer.of_error(error)
        else:
            traceback.print_exc()
            answer = Answer.of_error(error, f"{type(error).__name__}: {error}")
    if path:
        Path(path).write_text(answer.to_json(), encoding="utf-8")
    return answer
