"""The manifest of the ConfigMap hsds-bucket-loader-config: what make_configmap.sh applies.

    python -m bucket_loader.deploy.configmap config.yml

The manifest goes to standard output, what is wrong with the settings to standard error; then the exit status is 2. The
environment has no say: it belongs to this desktop (HSDS_ENDPOINT names the outside), not to the pods.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from .. import config
from ..config import Config, ConfigError
from ..log import Parser, complain

NAME = "hsds-bucket-loader-config"
_PROGRAM = "make_configmap.sh"


class Dumper(yaml.SafeDumper):
    """Texts of several lines as they are."""


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def check(files: dict[str, Path]) -> Config:
    """The settings as pods will have them. Raises ConfigError also for what no pod could use."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in files.items():
            Path(folder, name).symlink_to(path)
        parser = argparse.ArgumentParser()
        config.add_options(parser)
        try:
            settings = config.load(parser.parse_args(["--config-dir", folder]), env={})
        except ConfigError as error:
            message = str(error)
            for name, path in files.items():
                message = message.replace(f"{folder}/{name}", str(path))
            raise ConfigError(message) from error
    if settings.hs_password is not None:
        raise ConfigError(
            "hs_password is in the settings: take it out, a ConfigMap is no place for it; k8s_make_secrets.sh has one"
        )
    if urlsplit(settings.hsds_endpoint).hostname in ("localhost", "127.0.0.1", "::1"):
        raise ConfigError(
            f"hsds_endpoint is {settings.hsds_endpoint}, which to a pod is the pod itself: each would have an "
            "inventory of its own; name the cluster's service, e.g. http://hsds:5101"
        )
    return settings


def notes(settings: Config) -> list[str]:
    """Settings that may be meant, and may be mistakes."""
    found = settings.doubts()
    if settings.hsds_local is None:
        found.append("hsds_local is null, so that all pods load through the cluster's HSDS and not through their own")
    if settings.tgt_bucket is None:
        found.append("tgt_bucket is null, so that a pod's own HSDS takes bucket_name from the ConfigMap hsds-override")
    return found


def for_hsds(settings: Config) -> dict[str, str]:
    """Keys of their own for the pods' HSDS, so that its settings are written down once."""
    values = {
        # null means AWS to boto3; HSDS wants a name, and for one of AWS's leaves the region's endpoint to boto3, too
        "aws_s3_gateway": settings.aws_s3_gateway or "https://s3.amazonaws.com",
        "aws_region": settings.aws_region,
        "tgt_bucket": settings.tgt_bucket,
    }
    return {key: value for key, value in values.items() if value}


def manifest(files: dict[str, Path], settings: Config) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "labels": {"app.kubernetes.io/name": "hsds-bucket-loader", "app.kubernetes.io/part-of": "hsds"},
        },
        "data": {name: path.read_text(encoding="utf-8") for name, path in files.items()} | for_hsds(settings),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog=_PROGRAM, description="Print the manifest of the pods' settings.")
    parser.add_argument("file", type=Path, help="config.yml; an override.yml beside it goes in, too")
    file: Path = parser.parse_args(argv).file.resolve()
    files = {"config.yml": file, "override.yml": file.with_name("override.yml")}
    files = {name: path for name, path in files.items() if path.is_file()}
    try:
        settings = check(files)
    except ConfigError as error:
        complain(f"{_PROGRAM}: {error}")
        return 2
    for note in notes(settings):
        complain(f"{_PROGRAM}: note: {note}")
    yaml.dump(manifest(files, settings), sys.stdout, Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
