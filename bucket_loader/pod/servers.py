"""The servers that a worker works with: the cluster's HSDS, the pod's own, and the source bucket."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import TTLCache

from ..config import Config
from ..hsds import Hsds, Unavailable
from ..s3 import Source
from ..storage.target import Target
from .data_nodes import DataNodes

VERSION_SECONDS = 60.0  # a server may be replaced by one of another version


class Servers:
    """The cluster's HSDS and the pod's own (the same one, where the pod has none), and the source bucket."""

    def __init__(self, config: Config, source: Source, alive: Callable[[], None] = lambda: None) -> None:
        """`alive` is called after each answer of an HSDS: who waits for many of them makes progress."""
        login = (config.hs_username, config.password, config.tgt_bucket)
        self.cluster = Hsds(config.hsds_endpoint, *login, alive=alive)
        self.pod = self.cluster
        if config.working_endpoint != config.hsds_endpoint:
            self.pod = Hsds(config.working_endpoint, *login, alive=alive)
        self.nodes = DataNodes(self.pod)
        self.source = source
        self.target = Target(source, config.tgt_bucket) if config.tgt_bucket else None
        self.shows_target = False  # whether the cluster's HSDS was seen to show what was put into the target
        self._versions: TTLCache[str, str] = TTLCache(2, VERSION_SECONDS)  # by address
        self._folders: set[str] = set()

    def endpoints(self) -> list[Hsds]:
        return [self.cluster] if self.pod is self.cluster else [self.cluster, self.pod]

    def version_of(self, hsds: Hsds) -> str:
        """The version of one of these servers, as it was told in the last minute. Raises Unavailable."""
        known = self._versions.get(hsds.endpoint)
        if known is None:
            about = hsds.about()
            if "hsds_version" not in about:
                raise Unavailable(f"HSDS at {hsds.endpoint} does not tell its version: {about.get('state')}")
            known = self._versions[hsds.endpoint] = str(about["hsds_version"])
        return known

    def check(self) -> None:
        """Raise Unavailable or SourceError when a server is away: then it is not the file's fault."""
        for hsds in self.endpoints():
            hsds.expect_ready()
        self.source.check()

    def restarted(self, before: dict[str, int]) -> str:
        """Says that one of the pod's data nodes was restarted since `before`; an empty text when none was."""
        if self.nodes.lives() == before:
            return ""
        return f"a data node of HSDS at {self.pod.endpoint} was restarted meanwhile"

    def make_folder_of(self, domain: str, below: str) -> None:
        """Make the folders of a domain, below one that exists. Those that were there once are not asked for again."""
        folder = domain.rpartition("/")[0] + "/"
        if folder not in self._folders:
            self.pod.make_folders(folder, below=below)
            self._folders.add(folder)

    def folder_vanished(self, domain: str) -> bool:
        """Whether somebody has removed the folder of a domain; it will be made again."""
        folder = domain.rpartition("/")[0] + "/"
        self._folders.discard(folder)
        return not self.pod.exists(folder)
