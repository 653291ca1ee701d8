"""A root that is to become a domain when it has passed its check (`publish: after-check`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ..hsds import HsdsError
from ..log import event
from ..pod.publisher import Publisher


class Unchecked:
    """The root that a row names, which no domain of a reader has."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher, self._root = publisher, publisher.row.unpublished

    @classmethod
    def of(cls, publisher: Publisher) -> Unchecked | None:
        """What the load left to the check; None where a check has published it, and died before it wrote that down."""
        published = publisher.target.root_of(publisher.domain) == publisher.row.unpublished
        return None if published else cls(publisher)

    @contextmanager
    def shown(self) -> Iterator[str]:
        """Within the block, the root is a domain that only its owner can read; gives its name."""
        name = self._publisher.show_unchecked(self._root)
        try:
            yield name
        finally:
            # another worker that has taken the row over uses the same name
            if self._publisher.is_held:
                try:
                    self._publisher.hide(name)
                except HsdsError as error:
                    event(logging.WARNING, "a domain that was checked is left", domain=name, error=error)

    def publish(self) -> None:
        """Make it the domain. Raises what `Publisher.publish` does."""
        self._publisher.publish(self._root)

    def consequence(self) -> str:
        """What its failure means for readers."""
        before = self._publisher.target.root_of(self._publisher.domain)
        return "not published, the version before it stays" if before else "not published"
