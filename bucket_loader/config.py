"""Settings: what they are, and which of several places wins.

Strongest first: `--key=value`, the environment (the key in upper case; `KEY_FILE` names a file that holds the value),
`override.yml`, `config.yml`. The two files are looked for in `--config-dir`, else in `CONFIG_DIR`, else in the working
directory and then in `/config`, where Kubernetes mounts the ConfigMap. Nothing else in this package reads the
environment for settings.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, get_args

import shtab
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from . import layers
from .domains import Domains
from .errors import OperatorError

PLACEHOLDER = "SupplyCorrectValue"
Engine = Literal["auto", "direct", "hsload"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
ALIASES = {"hsds_global": "hsds_endpoint"}  # the name of 2021
# the sample's other keys, which this version has no use for, keep an old file working
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_ADDRESSES = ("hsds_endpoint", "hsds_local", "aws_s3_gateway")
_TIME_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class ConfigError(OperatorError):
    """The settings cannot be used; the message lists every problem."""


def _with_units(units: Mapping[str, int], kind: str) -> BeforeValidator:
    def parse(value: object) -> object:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]?)\s*", value.lower())
        if not match or match[2] not in units:
            raise ValueError(f"is not a {kind}; write a number, with {', '.join(filter(None, units))} as a unit")
        return float(match[1]) * units[match[2]]

    return BeforeValidator(parse)


def _null(value: object) -> object:
    """An environment variable cannot be null, so that an empty one and the word stand for it."""
    return None if isinstance(value, str) and value.strip().lower() in ("", "null", "none") else value


def _no_port(value: object) -> object:
    """0 and null both mean: none."""
    return None if str(value).strip() == "0" else _null(value)


Seconds = Annotated[float, _with_units(_TIME_UNITS, "time"), Field(gt=0)]
Pause = Annotated[float, _with_units(_TIME_UNITS, "time"), Field(ge=0)]
Size = Annotated[int, _with_units(_SIZE_UNITS, "size"), Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
OptionalPort = Annotated[Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_no_port)]
OptionalText = Annotated[str | None, BeforeValidator(_null)]


class Config(BaseModel):
    """All settings, checked. Times are in seconds, sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    src_bucket: Text
    src_prefix: tuple[str, ...] = ()
    src_suffix: tuple[str, ...] = ("h5",)
    src_events: OptionalText = None
    full_scan_every: Seconds = 86400  # S3's events are delivered at least once, as a rule
    tgt_bucket: OptionalText = None
    tgt_folder: Text
    link_files: bool = True
    link_fallback: Literal["ingest", "fail"] = "ingest"
    load_engine: Engine = "auto"
    publish: Literal["after-load", "after-check"] = "after-load"
    public_read: bool = False  # a copy is not to be more public than its source without a word
    inventory_domain: Text
    hsds_endpoint: Text
    hsds_local: OptionalText = None
    hs_username: OptionalText = None
    hs_password: SecretStr | None = None
    aws_s3_gateway: OptionalText = None
    aws_region: OptionalText = None
    aws_s3_no_sign_request: bool = False
    watchdog_sleep_time: Pause = 10
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"
    workers: int = Field(2, ge=1, le=64)  # 1.5 times the files of one; 4: no more, twice the memory
    load_time_limit: Seconds = 6 * 3600
    diff_time_limit: Seconds = 6 * 3600
    child_memory_limit: Size = 900 * 1024**2  # two of them fit into a container of 2 GiB
    child_output_limit: Size = 64 * 1024**2
    max_chunk_size: Size = 128 * 1024**2  # a data node's cache for chunks; its container has 768 MiB
    max_unwritten_size: Size = 64 * 1024**3
    max_attempts: int = Field(3, ge=1)
    retry_pause: Pause = 60
    lease_time: Seconds = 120
    shutdown_grace: Pause = 25
    ready_timeout: Seconds = 300
    metrics_port: OptionalPort = None
    # above the longest single call: a store that takes connections and never answers is asked five times for a minute
    stuck_after: Seconds = 600
    hsload: Text = "hsload"
    hsdiff: Text = "hsdiff"
    diff_method: Literal["both", "hsdiff", "verify"] = "both"
    verify_through: Literal["both", "pod", "cluster"] = "both"  # verified is to mean: readable where it is read
    strict_diff: bool = False
    s3_block_size: Size = 256 * 1024
    s3_data_block_size: Size = 2 * 1024**2
    s3_concurrency: int = Field(16, ge=1, le=256)  # requests of one direct load at once
    in_flight_size: Size = 64 * 1024**2  # of one direct load
    # readers may have a domain in their caches for an hour (HSDS's metadata_mem_cache_expire)
    replaced_grace: Seconds = 2 * 3600
    pod_name: Text = Field(default_factory=lambda: _process_name())

    @field_validator("hs_username", mode="before")
    @classmethod
    def _name_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    @field_validator("hs_password", mode="before")
    @classmethod
    def _password_is_text(cls, value: object) -> object:
        # an all-digit password is a number to YAML
        return str(value) if isinstance(value, int) else _null(value)

    @field_validator("src_suffix", mode="before")
    @classmethod
    def _suffixes(cls, value: object) -> object:
        value = _null(value)
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(part for part in re.split(r"[,\s]+", value.strip("[] ")) if part)
        return value

    @field_validator("src_prefix", mode="before")
    @classmethod
    def _prefixes(cls, value: object) -> object:
        value = _null(value)
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else value

    @field_validator("src_prefix")
    @classmethod
    def _each_key_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # keys do not start with "/"; the sample of 2021 had src_prefix: /
        prefixes = sorted({prefix.removeprefix("/") for prefix in value})
        # sorted, a prefix comes before those that it covers
        kept: list[str] = []
        for prefix in prefixes:
            if not kept or not prefix.startswith(kept[-1]):
                kept.append(prefix)
        return () if kept == [""] else tuple(kept)

    @field_validator("tgt_folder")
    @classmethod
    def _folder(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("is a folder's path: it must start with /")
        return value if value.endswith("/") else value + "/"

    @field_validator("inventory_domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/") or value.count("/") < 2:
            raise ValueError("is a domain's path in a folder, like /home/john/inventory.h5")
        return value

    @field_validator("tgt_folder", "inventory_domain")
    @classmethod
    def _one_spelling(cls, value: str) -> str:
        # in another spelling, a key could replace the inventory unnoticed
        for part in value.strip("/").split("/"):
            if (part in ("", ".", "..") and value != "/") or part.endswith(".domain.json"):
                raise ValueError(f"has a part {part or '//'}, by which HSDS would not know the path: leave it out")
        return value

    @field_validator(*_ADDRESSES)
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if not value:
            return value
        # an address stands in logs, in process lists and in error messages
        if "@" in value:
            raise ValueError("holds a login: take it out; hs_username, hs_password and the AWS keys have their places")
        if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value):
            raise ValueError(
                "must start with http:// or https://, followed by a host and perhaps a path, without ? and #"
            )
        return value.rstrip("/")

    @field_validator("src_events")
    @classmethod
    def _queue(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"(sqs|https?)://[^/\s?#@]+/[^\s?#@]+", value):
            raise ValueError("is not the URL of a queue, like https://sqs.us-west-2.amazonaws.com/123456789012/name")
        return re.sub("^sqs:", "https:", value) if value else None

    @field_validator("load_engine")
    @classmethod
    def _direct_knows_its_bucket(cls, value: Engine, info: ValidationInfo) -> Engine:
        if value == "direct" and not info.data.get("tgt_bucket"):
            raise ValueError("writes into tgt_bucket, which is not set: set it, or choose auto")
        return value

    @field_validator("publish")
    @classmethod
    def _hsload_publishes_at_once(cls, value: str, info: ValidationInfo) -> str:
        if value == "after-check" and info.data.get("load_engine") != "direct":
            raise ValueError("needs load_engine: direct, since hsload writes where readers look")
        return value

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        value = {"WARN": "WARNING"}.get(value.upper(), value.upper())
        if value not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value

    @model_validator(mode="after")
    def _inventory_is_no_folder(self) -> Config:
        if self.tgt_folder.startswith(self.inventory_domain + "/"):
            raise ValueError(f"is in the inventory ({self.inventory_domain}): a domain is no folder")
        return self

    @property
    def domains(self) -> Domains:
        """Where keys go."""
        return Domains(self.tgt_folder, self.inventory_domain)

    @property
    def readers(self) -> str:
        """Who may read the inventory and the loaded domains, beside those that their folder's rights name."""
        return "everyone" if self.public_read else f"{self.hs_username or 'the default user'} alone"

    def doubts(self) -> list[str]:
        """Settings that may be meant, and may be mistakes, a line each."""
        if not self.inventory_domain.startswith(self.tgt_folder):
            return []
        return [
            f"the inventory {self.inventory_domain} lies in tgt_folder {self.tgt_folder}: keys that would replace it "
            "are refused; a folder of its own would be safer"
        ]

    @property
    def working_endpoint(self) -> str:
        """The HSDS that loads and checks go to: the pod's own, where there is one."""
        return self.hsds_local or self.hsds_endpoint

    @property
    def password(self) -> str | None:
        """The HSDS password in clear text, for a request or a child's environment."""
        return self.hs_password.get_secret_value() if self.hs_password else None

    def effective(self) -> dict[str, object]:
        """Every setting, secrets masked."""
        return self.model_dump(mode="json")

    def secrets(self) -> list[str]:
        """What no log may show: the password, and the AWS keys that children get by the environment."""
        names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return [secret for secret in (self.password, *map(os.environ.get, names)) if secret]


def _process_name() -> str:
    """A name of this process alone: one that starts under the same name takes up the other's rows."""
    return f"{socket.gethostname()}-{os.getpid()}"


KEYS = tuple(Config.model_fields)
_SECRETS = ("hs_password",)


def add_options(parser: argparse.ArgumentParser, listed: bool = False) -> None:
    """Give a command's parser `--config-dir` and one `--key=value` for each setting, `listed` or not in its help."""
    group = parser.add_argument_group("settings", "each overrides a key of config.yml; see there for what they mean")
    folder = group.add_argument("--config-dir", metavar="DIR", help="folder with config.yml (and override.yml)")
    folder.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    words = "a setting of config.yml" if listed else argparse.SUPPRESS
    for key in (*KEYS, *ALIASES):
        if key not in _SECRETS:  # a command line can be read by every user of the machine
            group.add_argument(f"--{key}", dest=f"set_{key}", metavar="VALUE", help=words)


def load(options: argparse.Namespace, env: Mapping[str, str] | None = None) -> Config:
    """Read the settings for a command whose options were added by `add_options`.

    Raises ConfigError with every problem, one per line: files that cannot be read, unknown keys (with the nearest
    known one), values of the wrong type, values that still have to be supplied.
    """
    env = os.environ if env is None else env
    problems: list[str] = []
    names = (*KEYS, *ALIASES)
    found = [
        *layers.of_files(options.config_dir, env, problems),
        ("the environment", layers.of_environment(names, env, problems)),
        ("the command line", layers.of_options(names, options)),
    ]
    if problems:
        raise _refused(problems)  # what stands in a file that cannot be read is not missing
    values: dict[str, object] = {}
    origin: dict[str, str] = {}
    for name, layer in found:
        for key, value in layer.items():
            key = ALIASES.get(key, key)
            if key not in KEYS:
                problems.append(f"{key} (in {name}) is not a setting{_nearest(key)}")
                continue
            values[key], origin[key] = value, name
    for key in [key for key, value in values.items() if value == PLACEHOLDER]:
        problems.append(f"{key} (in {origin[key]}) still says {PLACEHOLDER}: put your value there")
        del values[key]
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        reported = " ".join(problems)
        for item in error.errors(include_url=False):
            # of several settings together, the first that can be changed
            key = str(item["loc"][0]) if item["loc"] else "tgt_folder"
            if f"{key} (in" not in reported or item["type"] != "missing":
                problems.append(_describe(key, item["type"], item["msg"], values.get(key), origin.get(key)))
    if problems:
        raise _refused(problems)
    return config


def _refused(problems: list[str]) -> ConfigError:
    return ConfigError("the settings cannot be used:\n" + "\n".join(f"  - {line}" for line in problems))


def _describe(key: str, kind: str, message: str, value: object, origin: str | None) -> str:
    if kind == "missing":
        return f"{key} is missing: set it in config.yml, as --{key}=… or as {key.upper()} in the environment"
    message = message.removeprefix("Value error, ")
    message = {
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "string_type": "must be text",
        "literal_error": message.replace("Input should be", "must be"),
    }.get(kind, message[:1].lower() + message[1:])
    # an address may hold a login, or a token in its query
    is_address = key in (*_ADDRESSES, "src_events")
    secret = key in _SECRETS or "@" in str(value) or (is_address and set("?#") & set(str(value)))
    shown = "(a secret)" if secret else repr(value)
    return f"{key}: {shown} (in {origin}) {message}"


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, [*KEYS, *ALIASES], n=1)
    return f"; did you mean {near[0]}?" if near else ""


def from_arguments(arguments: Sequence[str]) -> Config:
    """The settings that a list of `--config-dir`/`--key=value` arguments gives."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return load(parser.parse_args(arguments))
