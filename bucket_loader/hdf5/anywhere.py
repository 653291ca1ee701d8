"""A dataset, wherever its values are."""

from __future__ import annotations

import h5py

from ..causes import Trouble
from .beside import Beside
from .elsewhere import values_elsewhere
from .external import ExternalDataset
from .file import Dataset, Place
from .virtual import VirtualDataset


def open_dataset(file: h5py.File, place: Place, beside: Beside | None) -> Dataset:
    """One that can be read. Raises Trouble where its values are in other files that are out of reach: all, for None."""
    dataset = Dataset(file, place)
    problem = values_elsewhere(place.path, dataset.id)
    if not problem:
        return dataset
    if beside is None:
        raise Trouble(problem)
    kind = VirtualDataset if dataset.properties.get_layout() == h5py.h5d.VIRTUAL else ExternalDataset
    try:
        return kind(file, place, beside)
    except Trouble as trouble:
        raise Trouble(f"{problem}: {trouble}", trouble.cause) from trouble
