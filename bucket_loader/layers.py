"""Where values of settings come from: two files, the environment and the command line. What they mean is in `config`.

A layer is what one place says, by key; what is wrong with it goes to a list of problems, a line each.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def of_files(
    config_dir: str | None, env: Mapping[str, str], problems: list[str]
) -> list[tuple[str, dict[str, object]]]:
    """config.yml and override.yml, where they are, with their paths, the weaker one first."""
    chosen = config_dir or env.get("CONFIG_DIR")
    folders = [Path(chosen)] if chosen else [Path(), Path("/config")]
    folder = next((folder for folder in folders if (folder / "config.yml").is_file()), None)
    if folder is None:
        if chosen:
            problems.append(f"there is no config.yml in {chosen}")
        return []
    layers = []
    for path in (folder / "config.yml", folder / "override.yml"):
        if path.is_file():
            layers.append((str(path), _read_yaml(path, problems)))
    return layers


class _EachKeyOnce(yaml.SafeLoader):
    """YAML that says a key twice says nothing: PyYAML takes the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                where = f"line {line}, and before it in line {lines[key.value]}"
                raise yaml.YAMLError(f"{key.value} is there twice: {where}; keep one")
            lines[key.value] = line
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path, problems: list[str]) -> dict[str, object]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path} cannot be read: {error}")
        return {}
    except yaml.YAMLError as error:
        said = str(error)
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            # what it is and where; not its parser's state
            said = f"{error.problem} in line {error.problem_mark.line + 1}"
        problems.append(f"{path} is not YAML: {' '.join(said.split())}")
        return {}
    if content is None:
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path} must hold lines of the form key: value")
        return {}
    return {str(key): value for key, value in content.items()}


def of_environment(names: Sequence[str], env: Mapping[str, str], problems: list[str]) -> dict[str, object]:
    """The variables that are called like settings, in upper case, or name a file that holds the value (`KEY_FILE`)."""
    found: dict[str, object] = {}
    for key in names:
        name = key.upper()
        if env.get(f"{name}_FILE"):
            path = Path(env[f"{name}_FILE"])
            try:
                found[key] = path.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}_FILE: {path} cannot be read: {error}")
        elif env.get(name):
            found[key] = env[name]
    return found


def of_options(names: Sequence[str], options: argparse.Namespace) -> dict[str, object]:
    """What `--key=value` said, as `config.add_options` keeps it."""
    given: dict[str, Any] = {key: getattr(options, f"set_{key}", None) for key in names}
    return {key: value for key, value in given.items() if value is not None}
