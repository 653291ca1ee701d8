"""`python -m bucket_loader.linkable SOURCE`: can a file be linked and read back? Exit status 0 yes, 1 no, 2 trouble.

HSDS reads linked chunks as they lie in the file and undoes gzip and shuffle, nothing else: each of the 40 filters and
combinations that h5py and hdf5plugin write was linked and read back. hsload notices most of the others by itself, but
links scale-offset data of the lossless kind without a word, and its readers then wait for ever.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import h5py

from .verify.__main__ import open_source
from .verify.report import Trouble

DECODED = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE})
# what has no more elements than this is copied and never linked
COPIED_ELEMENTS = 512


def obstacles(file: h5py.File) -> Iterator[str]:
    """The datasets that HSDS could not read through a link, each with its filters, in one line."""
    found: list[str] = []

    def look(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or (item.size or 0) <= COPIED_ELEMENTS:
            return
        plist = item.id.get_create_plist()
        if plist.get_layout() != h5py.h5d.CHUNKED:
            return
        filters = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        unknown = [text.decode() or str(code) for code, _, _, text in filters if code not in DECODED]
        if unknown:
            found.append(f"dataset /{name} has chunks with {', '.join(unknown)}, which HSDS does not decode")

    file.visititems(look)
    yield from found


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        print("usage: python -m bucket_loader.linkable SOURCE", file=sys.stderr)
        return 2
    try:
        with open_source(given[0]) as file:
            for line in obstacles(file):
                print(line)
                return 1
    except Trouble as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
