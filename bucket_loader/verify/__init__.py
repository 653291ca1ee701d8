"""Is a domain a true copy of a file? The full comparison, in both directions, that needs no trust in hsload or hsdiff.

What is compared: groups, datasets, named types and the paths that lead to the same object; soft and external links;
every dataset's shape, maximum shape, type, fill value and all values bit for bit (NaN is NaN, -0.0 is not 0.0);
null, scalar and empty spaces; every attribute's shape, type and value; references by what they point at.

What is not: storage. HSDS chooses chunk shapes and filters itself, and where bytes lie is its business.

A **difference** is something that a reader of the domain would get wrong. A **note** is something that the file says
and that h5pyd with HSDS loses in every copy, at no cost in values (padding of strings, tags, layout of compounds …);
with `strict` a note is a difference. A **trouble** is something that could not be compared: neither same nor different.
"""

from __future__ import annotations

from ..causes import Trouble
from ..hdf5.domain import Domain
from .compare import verify
from .report import Difference, Report

__all__ = ["Difference", "Domain", "Report", "Trouble", "verify"]
