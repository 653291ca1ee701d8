"""Both sides of a comparison, as every part of it sees them."""

from __future__ import annotations

import h5py

from ..hdf5.domain import Domain
from .pairs import Objects
from .report import Recorder


class Sides:
    """The file and the domain, which of their objects are partners so far, and the record of what differs."""

    def __init__(self, source: h5py.File, domain: Domain, record: Recorder) -> None:
        self.source, self.domain, self.record = source, domain, record
        self.objects = Objects(source)
