"""The settings of a pod's own HSDS: HSDS's, with the changes that make it load quickly, as a config.yml.

    python -m bucket_loader.deploy.hsds_config > config.yml

A file and not environment variables, because HSDS makes a whole number of a variable whose default is one, and fails on
`0.1`. What the manifests set beside it, they set for the pod (sizes, credentials).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.resources import files

import yaml

# each against HSDS's own value, with the measurement in docs/performance.md
FOR_ALL: dict[str, object] = {
    # the default names a role, whose keys HSDS would fetch with curl before it looks at those that it has
    "aws_iam_role": None,
    # a flush looks this often whether all is written; with 1 s it takes a second more than it must
    "flush_sleep_interval": 0.05,
}
FOR_LOADING = FOR_ALL | {
    # an object is written when it has not changed for so long, and this often HSDS looks for such; with 1 s each, every
    # flush waits for both. Not for the server of the inventory, whose chunks change all the time
    "s3_age_time": 0.1,
    "s3_sync_interval": 0.1,
}


def config(changes: Mapping[str, object]) -> str:
    """HSDS's own config.yml with some values changed. Raises KeyError for a setting that it does not have."""
    settings = yaml.safe_load((files("admin") / "config" / "config.yml").read_text())
    for key, value in changes.items():
        if key not in settings:
            raise KeyError(f"HSDS has no setting {key}")
        settings[key] = value
    return yaml.safe_dump(settings, sort_keys=False)


if __name__ == "__main__":
    sys.stdout.write(config(FOR_LOADING))
