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


def puts_of_environment(bucket: str) -> S3Store | None:
    """The same store for PUTs, with a tenth of boto3's CPU time and without retries.

    None where that is not possible: it knows neither certificates of one's own nor boto3's ways to find credentials.
    """
    return _puts(bucket, _about_the_store())


def _about_the_store() -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in os.environ.items() if name.startswith(("AWS_", "FSSPEC_")))


def _settings(variables: frozenset[tuple[str, str]]) -> dict[str, Any]:
    """What s3fs is told of the store, with "client_kwargs", which it hands on."""
    said: dict[str, Any] = json.loads(dict(variables).get("FSSPEC_S3") or "{}")
    return {"client_kwargs": {}} | said


@cache
def _client(connections: int, variables: frozenset[tuple[str, str]]) -> S3Client:
    import botocore
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
        **({"signature_version": botocore.UNSIGNED} if settings.get("anon") else {}),
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
def _puts(bucket: str, variables: frozenset[tuple[str, str]]) -> S3Store | None:
    settings = _settings(variables)
    endpoint, key, secret = (settings.get(name) or "" for name in ("endpoint_url", "key", "secret"))
    own_certificates = "AWS_CA_BUNDLE" in dict(variables) and not endpoint.startswith("http://")
    if own_certificates or not (endpoint and key and secret):
        return None
    from obstore.store import S3Store

    return S3Store(
        bucket,
        endpoint=endpoint,
        region=settings["client_kwargs"].get("region_name") or "us-east-1",
        access_key_id=key,
        secret_access_key=secret,
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
