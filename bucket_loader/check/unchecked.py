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
        """None where it is published: by a check that died before it wrote that down."""
        published = publisher.target.root_of(publisher.domain) == publisher.row.unpublished
        return None if published else cls(publisher)

    @contextmanager
    def shown(self) -> Iterator[str]:
        """Inside of the block, the root is a domain for its owner alone; gives its name."""
        name = self._publisher.show_unchecked(self._root)
        try:
            yield name
        finally:
            # where another worker has the row now, the name is in its hands
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
