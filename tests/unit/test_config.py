"""Where settings come from, and what is said about wrong ones."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from bucket_loader import config
from bucket_loader.config import Config, ConfigError

ROOT = Path(__file__).resolve().parents[2]
GOOD = """
src_bucket: data
tgt_folder: /home/john/data
inventory_domain: /home/john/inventory.h5
hsds_endpoint: http://hsds:5101
"""
OF_2021 = """
tgt_bucket: null    # destination bucket
tgt_folder: /home/john/data/
src_bucket: data
src_prefix: /
src_suffix: h5
link_files: true
inventory_domain: /home/john/bucketloader/inventory.h5
hs_username: null
hs_password: null
public_read: true
aws_s3_gateway: http://s3.us-west-2.amazonaws.com
hsds_global: http://10.100.0.136:5101
hsds_local: http://localhost:5101
aws_region: us-west-2
watchdog_sleep_time: 10
log_level: ERROR
"""


def read(folder: Path, text: str, *arguments: str, env: dict[str, str] | None = None) -> Config:
    (folder / "config.yml").write_text(text)
    parser = argparse.ArgumentParser()
    config.add_options(parser)
    return config.load(parser.parse_args([f"--config-dir={folder}", *arguments]), env or {})


def problems(folder: Path, text: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, *arguments, env=env)
    return str(caught.value)


def test_prefixes_are_one_or_several_and_cover_each_key_once(tmp_path: Path) -> None:
    for text, wanted in {
        "src_prefix: a/b": ("a/b",),
        "src_prefix: [b/, /a/, a/x/, a/]": ("a/", "b/"),
        "src_prefix: ['', a/]": (),
        "src_prefix: null": (),
        "src_prefix: 'with, comma/'": ("with, comma/",),
    }.items():
        assert read(tmp_path, OF_2021.replace("src_prefix: /", text)).src_prefix == wanted


def test_a_config_file_of_2021_works_unchanged(tmp_path: Path) -> None:
    found = read(tmp_path, OF_2021)
    assert found.hsds_endpoint == "http://10.100.0.136:5101"
    assert found.hsds_local == "http://localhost:5101"
    assert found.src_prefix == ()
    assert found.src_suffix == ("h5",)
    assert found.tgt_bucket is None


def test_the_shipped_file_has_every_key_and_asks_for_what_is_missing(tmp_path: Path) -> None:
    text = (ROOT / "config.yml").read_text()
    told = problems(tmp_path, text)
    for key in ("src_bucket", "tgt_folder", "inventory_domain", "hsds_endpoint"):
        assert f"{key} (in {tmp_path}/config.yml) still says SupplyCorrectValue" in told
    assert told.count("\n") == 4
    for key in config.KEYS:
        assert f"{key}:" in text or key == "pod_name"


def test_the_commented_defaults_of_the_shipped_file_are_the_real_ones(tmp_path: Path) -> None:
    text = (ROOT / "config.yml").read_text().replace("# hs", "#hs")
    shown = "\n".join(
        line[2:] for line in text.splitlines() if line.startswith("# ") and ": " in line and "#" in line[2:]
    )
    assert read(tmp_path, GOOD + shown).model_dump() == read(tmp_path, GOOD).model_dump()


def test_layers_from_the_command_line_down(tmp_path: Path) -> None:
    (tmp_path / "override.yml").write_text("src_bucket: of-override\nlog_level: error\nworkers: 3\n")
    env = {"SRC_BUCKET": "of-env", "LOG_LEVEL": "debug"}
    assert read(tmp_path, GOOD, "--src_bucket=of-line", env=env).src_bucket == "of-line"
    found = read(tmp_path, GOOD, env=env)
    assert (found.src_bucket, found.log_level, found.workers) == ("of-env", "DEBUG", 3)
    assert read(tmp_path, GOOD).src_bucket == "of-override"


def test_the_desktop_sets_the_endpoint_by_the_environment(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD, env={"HSDS_ENDPOINT": "https://outside/"}).hsds_endpoint == "https://outside"


def test_config_dir_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(GOOD)
    parser = argparse.ArgumentParser()
    config.add_options(parser)
    assert config.load(parser.parse_args([]), {"CONFIG_DIR": str(tmp_path)}).src_bucket == "data"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("link_files: 'false'", {"link_files": False}),
        ("src_suffix: [h5, nc]", {"src_suffix": ("h5", "nc")}),
        ("src_suffix: h5, nc", {"src_suffix": ("h5", "nc")}),
        ("src_suffix: null", {"src_suffix": ()}),
        ("s3_block_size: 2m", {"s3_block_size": 2 * 1024**2}),
        ("s3_data_block_size: 64k", {"s3_data_block_size": 65536}),
        ("load_time_limit: 90m", {"load_time_limit": 5400}),
        ("log_level: warn", {"log_level": "WARNING"}),
        ("hsds_local: null", {"hsds_local": None}),
        ("tgt_folder: /a/b", {"tgt_folder": "/a/b/"}),
        ("hs_username: 12345", {"hs_username": "12345"}),
    ],
)
def test_values(tmp_path: Path, line: str, expected: dict[str, object]) -> None:
    key = line.partition(":")[0]
    others = [one for one in GOOD.splitlines() if not one.startswith(f"{key}:")]
    found = read(tmp_path, "\n".join([*others, line, ""])).model_dump()
    assert {key: found[key] for key in expected} == expected


def test_false_in_the_environment_is_false(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, env={"LINK_FILES": "false", "HSDS_LOCAL": "null"})
    assert found.link_files is False
    assert found.hsds_local is None


def test_all_problems_come_at_once_each_with_its_cure(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        GOOD + "src_buket: x\nworkers: many\nlink_files: perhaps\nload_time_limit: 5y\nhsds_local: localhost:5101\n",
        "--log_level=loud",
        env={"AWS_S3_GATEWAY": "s3.example.org"},
    )
    for expected in (
        "src_buket (in",
        "did you mean src_bucket?",
        "workers: 'many'",
        "must be a whole number",
        "link_files: 'perhaps'",
        "must be true or false",
        "load_time_limit: '5y'",
        "hsds_local: 'localhost:5101'",
        "aws_s3_gateway: 's3.example.org' (in the environment) must start with http:// or https://",
        "log_level: 'loud' (in the command line) must be DEBUG, INFO, WARNING or ERROR",
    ):
        assert expected in told


def test_what_is_missing_is_named_with_the_ways_to_set_it(tmp_path: Path) -> None:
    assert "tgt_folder is missing: set it in config.yml, as --tgt_folder=… or as TGT_FOLDER" in problems(
        tmp_path, "src_bucket: b\n"
    )


def test_a_file_that_is_not_yaml_is_said_once_with_the_line(tmp_path: Path) -> None:
    said = problems(tmp_path, "src_bucket: a\ntgt_folder: [1\n").splitlines()
    assert said[1:] == [
        f"  - {tmp_path / 'config.yml'} is not YAML: expected ',' or ']', but got '<stream end>' in line 3"
    ]


def test_a_key_that_is_there_twice_is_said_with_both_lines(tmp_path: Path) -> None:
    said = problems(tmp_path, "src_bucket: a\nworkers: 1\nsrc_bucket: b\n").splitlines()
    where = "line 3, and before it in line 1"
    assert said[1:] == [f"  - {tmp_path / 'config.yml'} is not YAML: src_bucket is there twice: {where}; keep one"]
    assert "must hold lines of the form key: value" in problems(tmp_path, "- a\n- b\n")


def test_no_file_where_one_was_named(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    config.add_options(parser)
    with pytest.raises(ConfigError, match=f"no config.yml in {tmp_path}"):
        config.load(parser.parse_args([f"--config-dir={tmp_path}"]), {})


def test_secrets_from_files_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("pässword 'with\" quotes\n")
    found = read(tmp_path, GOOD, env={"HS_PASSWORD_FILE": str(secret), "HS_USERNAME": "john"})
    assert found.hs_password is not None
    assert found.hs_password.get_secret_value() == "pässword 'with\" quotes"
    assert "pässword" not in str(found.effective()) + repr(found) + str(found)
    assert found.effective()["hs_password"] == "**********"
    assert "HS_PASSWORD_FILE: /no/such cannot be read" in problems(tmp_path, GOOD, env={"HS_PASSWORD_FILE": "/no/such"})


def test_a_password_of_digits(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD + "hs_password: 12345\n")
    assert found.hs_password is not None and found.hs_password.get_secret_value() == "12345"


def test_there_is_no_option_for_the_password(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        read(tmp_path, GOOD, "--hs_password=x")


def test_the_direct_engine_knows_its_bucket(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).load_engine == "auto"
    assert read(tmp_path, GOOD + "load_engine: direct\ntgt_bucket: b\n").load_engine == "direct"
    told = problems(tmp_path, GOOD + "load_engine: direct\n")
    assert "load_engine: 'direct' (in " in told and "writes into tgt_bucket, which is not set" in told


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123/news", "https://sqs.eu-west-1.amazonaws.com/123/news"),
        ("sqs://sqs.eu-west-1.amazonaws.com/123/news", "https://sqs.eu-west-1.amazonaws.com/123/news"),
        ("http://elastic-mq:9324/000/news", "http://elastic-mq:9324/000/news"),
        ("null", None),
    ],
)
def test_the_queue_of_events(tmp_path: Path, said: str, taken: str | None) -> None:
    assert read(tmp_path, GOOD + f"src_events: {said}\n").src_events == taken


@pytest.mark.parametrize(
    "said",
    [
        "news",
        "sqs://news",
        "ftp://a/b",
        "https://key:secret@host/queue",
        "https://host/queue?token=secret",
        "arn:aws:sqs:a:1:n",
    ],
)
def test_what_is_no_queue(tmp_path: Path, said: str) -> None:
    told = problems(tmp_path, GOOD + f"src_events: {said}\n")
    assert "src_events: " in told and "is not the URL of a queue, like https://sqs." in told
    assert "secret" not in told.replace("(a secret)", "")


def test_a_publication_after_the_check_is_the_direct_engines(tmp_path: Path) -> None:
    direct = "load_engine: direct\ntgt_bucket: b\n"
    assert read(tmp_path, GOOD + direct + "publish: after-check\n").publish == "after-check"
    assert "publish: 'after-check' (in " in problems(tmp_path, GOOD + "publish: after-check\n")
    assert "publish: 'later' (in " in problems(tmp_path, GOOD + direct + "publish: later\n")


@pytest.mark.parametrize("value", ["null", "0", '""'])
def test_no_port_is_no_endpoint(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, GOOD + f"metrics_port: {value}\n").metrics_port is None
    assert (
        read(tmp_path, GOOD + "metrics_port: 9464\n", env={"METRICS_PORT": value.strip('"') or "null"}).metrics_port
        is None
    )


def test_a_port_is_a_number_that_can_be_one(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD, env={"METRICS_PORT": "9464"}).metrics_port == 9464
    assert "metrics_port: 70000 (in " in problems(tmp_path, GOOD + "metrics_port: 70000\n")
    told = problems(tmp_path, GOOD, env={"METRICS_PORT": "tcp://10.0.0.1:9464"})
    assert "metrics_port: 'tcp://10.0.0.1:9464' (in the environment) must be a whole number" in told


@pytest.mark.parametrize("key", ["hsds_endpoint", "hsds_local", "aws_s3_gateway"])
@pytest.mark.parametrize("address", ["http://john:pass-word@hsds:5101", "http://john@hsds", "john:pass-word@hsds"])
def test_an_address_holds_no_login_and_the_refusal_does_not_show_it(tmp_path: Path, key: str, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD, env={key.upper(): address})
    assert f"{key}: (a secret) (in the environment) holds a login" in str(caught.value)
    assert "pass-word" not in str(caught.value) and "john" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://hsds?bucket=x", "http://hsds/#a", "http://hsds/a b"])
def test_an_address_has_no_query(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"without \? and #"):
        read(tmp_path, GOOD, env={"HSDS_ENDPOINT": address})
    assert (
        read(tmp_path, GOOD, env={"HSDS_ENDPOINT": "http://hsds:5101/path/"}).hsds_endpoint == "http://hsds:5101/path"
    )


def test_a_token_in_an_address_is_not_shown(tmp_path: Path) -> None:
    told = problems(tmp_path, GOOD, env={"AWS_S3_GATEWAY": "https://s3.example.org/?token=pass-word"})
    assert "aws_s3_gateway" in told and "pass-word" not in told


@pytest.mark.parametrize("key", ["inventory_domain", "tgt_folder"])
@pytest.mark.parametrize("path", ["/home//john/x.h5", "/home/./x.h5", "/home/john/../x.h5", "/home/x.h5/.domain.json"])
def test_a_path_has_one_spelling(tmp_path: Path, key: str, path: str) -> None:
    """By another one, a key would reach the inventory and not be taken for it."""
    assert f"{key}: '{path}' (in the environment) has a part" in problems(tmp_path, GOOD, env={key.upper(): path})
