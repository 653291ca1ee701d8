"""Domains made of files in-process, by hsload's own code and by the direct engine, on one S3 server and one HSDS."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h5py
import h5pyd
from h5pyd._apps.utillib import load_file

from bucket_loader.deploy.hsds_config import FOR_LOADING
from bucket_loader.hdf5.beside import Beside
from bucket_loader.hdf5.stream import open_bytes
from bucket_loader.hsds import Hsds
from bucket_loader.local import servers
from bucket_loader.local.servers import OWN_HSDS, HsdsServer, S3Server
from bucket_loader.storage import ids
from bucket_loader.storage.__main__ import source_of
from bucket_loader.storage.source import S3Object, opened
from bucket_loader.storage.target import Domain as PublishedDomain
from bucket_loader.storage.transfers import Transfers
from bucket_loader.storage.write import Destination, Wish, Writer, Written
from bucket_loader.verify import Domain, Report, verify

USER, PASSWORD, BUCKET = "admin", "pass-word", "meta"


@dataclass
class VerifyServers:
    """`hsds` is written to; `reader` knows of a domain only what is in storage."""

    s3: S3Server
    hsds: HsdsServer
    reader: HsdsServer
    changed: set[str] = field(default_factory=set)  # domains that the reader may know as they were before
    read: set[str] = field(default_factory=set)

    def load(self, path: Path, mode: str) -> str:
        """Load a file as "link" or "ingest" and return the domain; what hsload raises is raised."""
        self.s3.client().upload_file(str(path), "src", path.name)
        name = f"/home/admin/{mode}-{path.name}"
        uri = f"s3://src/{path.name}" if mode == "link" else None
        load_file(h5py.File(path, "r"), self.open(name, "w"), dataload=mode, s3path=uri)
        Hsds(self.hsds.endpoint, USER, PASSWORD, BUCKET).flush(name)
        if name not in self.read:
            self.changed.discard(name)
        return name

    def write(self, path: Path, mode: str, **options) -> tuple[str, Written]:
        """Write a file by the direct engine, as "link" or "ingest"; the domain, and what was written."""
        client = self.s3.client()
        client.upload_file(str(path), "src", path.name)
        uri, root, name = f"s3://src/{path.name}", ids.new_root(), f"/home/admin/direct-{mode}-{path.name}"
        within, in_flight = options.pop("within", ()), options.pop("in_flight", 64 << 20)
        wish = Wish(uri, mode == "link", options.pop("copy", True), **options)
        with Transfers(client, BUCKET, 8, in_flight) as transfers:
            source = S3Object(transfers, "src", path.name, 1 << 20)
            beside = Beside(uri, partial(source_of, transfers), within, transfers.begin)
            with opened(uri, source, 256 << 10, 2 << 20, beside) as of:
                written = Writer(of, wish, Destination(BUCKET, root), transfers).write()
        body = PublishedDomain.of(root, USER, {}, public=False).to_json()
        client.put_object(Bucket=BUCKET, Key=ids.domain_key(name), Body=body)
        return name, written

    def open(self, name: str, mode: str, server: HsdsServer | None = None) -> h5pyd.File:
        if mode != "r":
            self.changed.add(name)
        endpoint = (server or self.hsds).endpoint
        return h5pyd.File(
            name, mode, endpoint=endpoint, username=USER, password=PASSWORD, bucket=BUCKET, use_cache=False
        )

    def domain(self, name: str) -> Domain:
        server = self.hsds if name in self.changed else self.reader
        self.read |= {name} - self.changed
        return Domain(Hsds(server.endpoint, USER, PASSWORD, BUCKET, time_limit=30), name)

    def verify(self, path: Path, name: str, **options) -> Report:
        with closing(self.domain(name)) as domain, h5py.File(path, "r") as source:
            return verify(source, domain, beside=Beside(str(path), open_bytes), **options)

    def env(self) -> dict[str, str]:
        """The environment of the command."""
        return (
            dict(os.environ)
            | self.s3.env()
            | {
                "HS_ENDPOINT": self.hsds.endpoint,
                "HS_USERNAME": USER,
                "HS_PASSWORD": PASSWORD,
                "HS_BUCKET": BUCKET,
                "FSSPEC_S3": json.dumps({"endpoint_url": self.s3.endpoint}),
            }
        )


@contextmanager
def started(root: Path, reader_version: str = OWN_HSDS) -> Iterator[VerifyServers]:
    with S3Server(root) as s3:
        s3.make_bucket(BUCKET)
        s3.make_bucket("src")
        # a chunk that cannot be decoded is tried 8 times over 13 s by default
        settings = FOR_LOADING | {"dn_max_retries": 2}
        users = {USER: PASSWORD}
        hsds = HsdsServer(root, s3, BUCKET, users, settings=settings)
        reader = HsdsServer(root, s3, BUCKET, users, "reader", settings=settings, version=reader_version)
        with servers.started(hsds, reader):
            for folder in ("/home/", "/home/admin/"):
                h5pyd.Folder(
                    folder, mode="w", endpoint=hsds.endpoint, username=USER, password=PASSWORD, bucket=BUCKET
                ).close()
            yield VerifyServers(s3, hsds, reader)
