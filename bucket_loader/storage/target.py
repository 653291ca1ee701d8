"""The bucket of an HSDS: domains are published there, and roots that no domain names any more are deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions
from cachetools import TTLCache

from ..hsds import READING, RIGHTS
from ..s3 import Source, SourceError, SourceUnavailable
from . import ids

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACLS_SECONDS = REFUSAL_SECONDS = 60.0
_EVERYTHING = dict.fromkeys(RIGHTS, True)
_GONE = {"404", "NoSuchKey", "NotFound"}


class IsFolder(Exception):
    """A folder has the name of a domain."""


@dataclass(frozen=True)
class Domain:
    """What makes a domain of a root: `.domain.json`."""

    root: str  # digits
    owner: str
    acls: Mapping[str, Mapping[str, bool]]

    @classmethod
    def of(cls, root: str, owner: str, folder_acls: Mapping[str, Mapping[str, bool]], public: bool) -> Domain:
        """With the rights that HSDS would give: all to its owner, and what the folder hands down to others."""
        handed_down = {
            user: rights
            for user, rights in folder_acls.items()
            if user not in ("default", owner) and any(rights.get(right) for right in RIGHTS)
        }
        everyone = {"default": READING} if public else {}
        return cls(root, owner, {**handed_down, owner: _EVERYTHING, **everyone})

    def to_json(self) -> bytes:
        now = time.time()
        body = {"root": ids.root_id(self.root), "owner": self.owner, "acls": self.acls}
        return json.dumps(body | {"created": now, "lastModified": now}).encode()


class Target:
    """The bucket that HSDS keeps its objects in, at the store that the source is at. Raises SourceError."""

    def __init__(self, source: Source, bucket: str) -> None:
        self._source, self.bucket = source, bucket
        self._allowed: set[str] = set()  # folders
        self._refusals: TTLCache[str, str] = TTLCache(8, REFUSAL_SECONDS)  # by folder
        self._acls: TTLCache[str, dict[str, dict[str, bool]]] = TTLCache(1024, ACLS_SECONDS)  # by folder

    @property
    def _client(self) -> S3Client:
        return self._source.client

    def refusal(self, folder: str) -> str:
        """Why this program may not put anything there, where HSDS has a folder; an empty text when it may.

        The answer is kept; a refusal for a minute. Raises SourceUnavailable.
        """
        if folder in self._allowed:
            return ""
        refused = self._refusals.get(folder)
        if refused is None:
            refused = self._refusals[folder] = self._find_refusal(folder)
            if not refused:
                self._allowed.add(folder)
        return refused

    def _find_refusal(self, folder: str) -> str:
        bucket, key = self.bucket, ids.domain_key(folder)
        try:
            if self._read(key) is None:
                return f"bucket {bucket} does not hold HSDS's folder {folder}: check tgt_bucket and aws_s3_gateway"
            # needs the right to put, and puts nothing
            with self._source.asking(bucket):
                upload = self._client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
                self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except SourceUnavailable:
            raise
        except SourceError as error:
            return str(error)
        return ""

    def root_of(self, domain: str) -> str | None:
        """The digits of a domain's root, as the bucket has it; None where there is no domain."""
        with suppress(IsFolder):
            return self.root_to_replace(domain)
        return None

    def root_to_replace(self, domain: str) -> str | None:
        """The same, where a domain is to be. Raises IsFolder."""
        found = self._read(ids.domain_key(domain))
        if found is None:
            return None
        if not found.get("root"):
            raise IsFolder(domain)
        return ids.digits_of(str(found["root"]))

    def acls_of(self, folder: str) -> dict[str, dict[str, bool]]:
        """The rights of a folder as they were in the last minute, by user; {} where there is none."""
        acls = self._acls.get(folder)
        if acls is None:
            acls = self._acls[folder] = dict((self._read(ids.domain_key(folder)) or {}).get("acls", {}))
        return acls

    def publish(self, path: str, domain: Domain) -> None:
        """Make a root a domain; a domain that exists gets this root."""
        with self._source.asking(self.bucket):
            self._client.put_object(Bucket=self.bucket, Key=ids.domain_key(path), Body=domain.to_json())

    def has_root(self, root: str) -> bool:
        """Whether there is a root group to be a domain's."""
        return self._read(ids.object_key(ids.root_id(root))) is not None

    def size_of(self, root: str) -> int:
        """The bytes under a root."""
        info = self._read(ids.info_key(root))
        if info is not None and {"allocated_bytes", "metadata_bytes"} <= info.keys():
            return int(info["allocated_bytes"]) + int(info["metadata_bytes"])
        return sum(size for page in self._pages(root) for _, size in page)

    def delete_root(self, root: str) -> int:
        """Delete all keys under a root; how many there were."""
        count = 0
        for page in self._pages(root):
            if not page:
                continue
            keys = [{"Key": key} for key, _ in page]
            with self._source.asking(self.bucket):
                answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True})  # type: ignore[typeddict-item]
            if errors := answer.get("Errors"):
                first = errors[0]
                raise SourceError(f"bucket {self.bucket} does not delete {first.get('Key')}: {first.get('Message')}")
            count += len(keys)
        return count

    def _pages(self, root: str) -> list[list[tuple[str, int]]]:
        prefix = ids.prefix(root)
        with self._source.asking(self.bucket):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            return [[(entry["Key"], entry["Size"]) for entry in page.get("Contents", [])] for page in pages]

    def _read(self, key: str) -> dict[str, Any] | None:
        """A JSON object of the bucket; None where there is none."""
        with self._source.asking(self.bucket):
            try:
                body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
            except botocore.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") in _GONE - {"NoSuchBucket"}:
                    return None
                raise
        try:
            return dict(json.loads(body))
        except (TypeError, ValueError) as error:
            raise SourceError(f"s3://{self.bucket}/{key} is none of HSDS's: {error}") from error
