"""Where a key goes: its domain, or why it cannot have one. The one rule for the watcher and the loader.

A key's domain is `tgt_folder` + key, as it is: no two keys have the same, but for the names under which HSDS itself
keeps domains. What is refused here is never loaded, and nothing is deleted for it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

# HSDS keeps a domain in storage under its path with this behind it, and takes a path that ends so for the name of such
# an object: `a.h5/.domain.json` would be the domain `a.h5`. S3 takes names of 1,024 bytes
_DOMAIN_SUFFIX, _MAX_OBJECT_NAME = "/.domain.json", 1024


@dataclass(frozen=True)
class Domains:
    """The folder that keys are loaded into, which ends in /, and the inventory's own domain."""

    folder: str
    inventory: str

    def of(self, key: str) -> str:
        return self.folder + key

    def refusal(self, key: str) -> str:
        """Why a key cannot become a domain; an empty text when it can."""
        if key.startswith("/") or "//" in key:
            return "the key has an empty part (//): HSDS has no such path"
        parts = key.split("/")
        if any(part in (".", "..") for part in parts):
            return "the key has a part . or ..: HSDS has no such path"
        if "?versionId=" in key:
            return "the key holds ?versionId=, which the S3 reader of hsload takes for a version"
        domain = self.of(key)
        if conflict := self._conflict(domain):
            return conflict
        if any(part.endswith(_DOMAIN_SUFFIX[1:]) for part in parts):
            return f"the key has a part that ends in {_DOMAIN_SUFFIX[1:]}: HSDS keeps other domains under such names"
        length = len((domain + _DOMAIN_SUFFIX).encode("utf-8", "surrogatepass")) - 1
        if length > _MAX_OBJECT_NAME:
            return (
                f"the domain's path takes {length} bytes in storage, S3 allows {_MAX_OBJECT_NAME}:"
                " use a shorter tgt_folder"
            )
        return ""

    def _conflict(self, domain: str) -> str:
        """What a domain would do to the inventory; an empty text when it is nothing.

        Both names are compared in one Unicode form: HSDS hands a path on as it is, and stores that keep names in a file
        system, as the demo's does, may take two forms for the same name.
        """
        here, inventory = (unicodedata.normalize("NFC", path) for path in (domain, self.inventory))
        if here == inventory:
            return f"its domain would replace the inventory {self.inventory}"
        if inventory.startswith(here + "/"):
            return f"its domain {domain} lies above the inventory {self.inventory}, which needs a folder there"
        if here.startswith(inventory + "/"):
            return f"its domain {domain} lies below the inventory {self.inventory}"
        return ""
