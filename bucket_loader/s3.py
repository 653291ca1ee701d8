"""The source bucket: listing it, looking at one object, and telling child processes how to read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import botocore
import botocore.exceptions

from .config import Config
from .errors import OperatorError
from .prefetch import side_by_side

if TYPE_CHECKING:
    from botocore.config import Config as ClientConfig
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_GONE = {"404", "NoSuchKey", "NotFound"}


class SourceError(OperatorError):
    """The source bucket cannot be read."""


class SourceUnavailable(SourceError):
    """The S3 endpoint does not answer, or is too busy to. It passes: wait and try again."""


@dataclass(frozen=True)
class SourceObject:
    """One object of the bucket: key, bytes, ETag without quotes, time of the last change in epoch seconds."""

    key: str
    size: int
    etag: str
    modified: int


class Source:
    """The bucket, prefix and suffixes that the settings name. May be shared between threads."""

    def __init__(self, config: Config, alive: Callable[[], None] = lambda: None) -> None:
        """`alive` is called after each answer of the store, by the thread that asked."""
        # a quarter of the time that a report or a reset takes to start, none of which reads the bucket
        import boto3
        import botocore.session

        self._config, self._alive = config, alive
        self.bucket = config.src_bucket
        self.prefixes = config.src_prefix or ("",)
        core = botocore.session.get_session()
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
        self._session = boto3.session.Session(botocore_session=core, region_name=config.aws_region)
        self.client = self._make_client()

    def _make_client(self) -> S3Client:
        config = self._config
        options = _options(
            max_pool_connections=max(10, config.workers),
            signature_version=botocore.UNSIGNED if config.aws_s3_no_sign_request else None,
            # the newer default ("when_supported") breaks Ceph, older MinIO, OpenIO and others
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        try:
            client = self._session.client("s3", endpoint_url=config.aws_s3_gateway, config=options)
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise SourceError(f"the S3 settings cannot be used: {error}") from error
        client.meta.events.register("after-call.s3", lambda **_: self._alive())
        return client

    def client_of_queue(self, endpoint: str, region: str | None) -> SQSClient:
        """A client for a queue of SQS, with the bucket's credentials; in aws_region where no other is named."""
        try:
            client = self._session.client("sqs", endpoint_url=endpoint, region_name=region, config=_options())
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise SourceError(f"src_events cannot be used: {error}") from error
        client.meta.events.register("after-call.sqs", lambda **_: self._alive())
        return client

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def list_pages(self) -> Iterator[list[SourceObject]]:
        """The bucket's objects with the wanted prefixes and suffixes, up to 1,000 at a time.

        The prefixes are listed side by side, a few pages ahead; under each of them keys come in their order. Raises
        SourceError; the pages that were given before it are good.
        """
        return side_by_side([partial(self._list, prefix) for prefix in self.prefixes])

    def _list(self, prefix: str) -> Iterator[list[SourceObject]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        try:
            for page in pages:
                yield [
                    SourceObject(
                        entry["Key"], entry["Size"], etag_of(entry["ETag"]), int(entry["LastModified"].timestamp())
                    )
                    for entry in page.get("Contents", [])
                    if self.wants(entry["Key"])
                ]
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise self._failure(error) from error

    def wants(self, key: str) -> bool:
        """Whether a key has one of the wanted prefixes and one of the wanted suffixes."""
        # a key that ends in / is what consoles make for an empty folder
        if key.endswith("/") or not key.startswith(self.prefixes):
            return False
        return not self._config.src_suffix or key.endswith(self._config.src_suffix)

    def head(self, key: str) -> SourceObject | None:
        """The object as it is now; None when it is gone. Raises SourceError."""
        try:
            head = self.client.head_object(Bucket=self.bucket, Key=key)
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return None
            raise self._failure(error) from error
        except botocore.exceptions.BotoCoreError as error:
            raise self._failure(error) from error
        return SourceObject(key, head["ContentLength"], etag_of(head["ETag"]), int(head["LastModified"].timestamp()))

    def check(self) -> None:
        """Raise SourceError unless the bucket can be listed."""
        try:
            self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefixes[0], MaxKeys=1)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise self._failure(error) from error

    @contextmanager
    def asking(self, bucket: str) -> Iterator[None]:
        """While something is asked of a bucket by `client`: raise SourceError for its failure."""
        try:
            yield
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise self._failure(error, bucket) from error

    def _failure(self, error: Exception, bucket: str = "") -> SourceError:
        where = f"bucket {bucket or self.bucket} at {self._config.aws_s3_gateway or 'AWS'}"

        def refusal(code: str, status: int) -> SourceError:
            if code == "NoSuchBucket" or (code in _GONE and status == 404):
                name = "tgt_bucket" if bucket else "src_bucket"
                return SourceError(f"there is no {where}: check {name} and aws_s3_gateway")
            if code in _REFUSED or status in (401, 403):
                return SourceError(f"{where} refuses these credentials ({code}): check the AWS keys or the role")
            return SourceError(f"{where} refuses: {code}")

        return failure(error, where, refusal)

    def child_env(self, whole_file: bool) -> dict[str, str]:
        """Environment variables with which hsload and hsdiff read this bucket; `whole_file`: the data, too.

        hsload takes a key pair from the environment but never a session token, hsdiff takes nothing: FSSPEC_S3 reaches
        both. Its block cache reads 5.5 MB where the default read-ahead took all 336.8 MB of a file for its metadata,
        and data once: the index of chunks lies between them, and a read-ahead starts anew after each look there.
        The credentials are as fresh as boto3 has them: a role's run out after the minutes that it has left.
        """
        config = self._config
        options: dict[str, object] = {
            "default_block_size": config.s3_data_block_size if whole_file else config.s3_block_size,
            "default_cache_type": "blockcache",
        }
        env = {
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
        # named in every case: hsload turns TLS off where it is not
        options["endpoint_url"] = endpoint = config.aws_s3_gateway or self.client.meta.endpoint_url
        client: dict[str, object] = {"region_name": config.aws_region} if config.aws_region else {}
        if endpoint.startswith("http://"):
            client["verify"] = False  # there is nothing to verify, and to read the certificates for it takes 30 ms
        if client:
            options["client_kwargs"] = client
        credentials = None if config.aws_s3_no_sign_request else self._session.get_credentials()
        if config.aws_s3_no_sign_request:
            options["anon"] = True
        elif credentials is not None:
            frozen = credentials.get_frozen_credentials()
            if frozen.access_key and frozen.secret_key:
                env |= {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
                options |= {"key": frozen.access_key, "secret": frozen.secret_key}
                if frozen.token:
                    env["AWS_SESSION_TOKEN"] = frozen.token
                    options["token"] = frozen.token
        env["FSSPEC_S3"] = json.dumps(options)
        return env


def _options(**more: Any) -> ClientConfig:
    from botocore.config import Config as ClientConfig

    return ClientConfig(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60, **more)


def _timestamp(text: str) -> datetime:
    """A time of an answer. botocore's own parser takes half of the time of a listing, which writes them as ISO 8601."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        import botocore.utils

        return botocore.utils.parse_timestamp(text)


def etag_of(text: str) -> str:
    """An ETag without its quotes; 64 characters are more than any store uses, and what a row keeps."""
    return text.strip('"')[:64]


def failure(error: Exception, where: str, refusal: Callable[[str, int], SourceError]) -> SourceError:
    """What an error of botocore says of `where`; `refusal` makes that of a code and a status that do not pass."""
    if isinstance(error, botocore.exceptions.ClientError):
        code = str(error.response.get("Error", {}).get("Code", "?"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status >= 500 or status == 429 or code in ("SlowDown", "Throttling", "RequestTimeout"):
            return SourceUnavailable(f"{where} answers {status} {code}")
        return refusal(code, status)
    if isinstance(error, botocore.exceptions.NoCredentialsError | botocore.exceptions.PartialCredentialsError):
        return SourceError(
            f"no credentials for {where}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give the pod a role, "
            "or set aws_s3_no_sign_request for a public bucket"
        )
    return SourceUnavailable(f"{where} does not answer: {' '.join(str(error).split())[:200]}")


def open_source(settings: Config) -> Source:
    """The source bucket, when it can be listed. Raises SourceError."""
    source = Source(settings)
    source.check()
    return source
