"""Real servers on this machine, for the demo, the tests and the benchmarks: S3 by rclone, HSDS by its own nodes.

Each server is a context manager. It starts on a free port with its files below a folder that the caller owns, waits
until it really serves, and is stopped in every outcome. A server that does not come up raises `ServerFailed` with the
end of its log, because "connection refused" helps nobody.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config as ClientConfig

from ..children.limits import end_with_parent
from ..deploy import hsds_config
from ..deploy.hsds_config import FOR_ALL, FOR_LOADING, config
from ..deploy.hsds_node import NEW_CLIENTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
CERTIFICATES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
START_SECONDS = 30.0  # READY takes under 2 s on an idle machine; a busy one gets the rest


class ServerFailed(RuntimeError):
    """A local server did not start."""


def free_port() -> int:
    """A TCP port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """The path of a console command that was installed beside this interpreter."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise ServerFailed(f"{name} is not installed beside {sys.executable}; run 'make setup'")
    return str(path)


class _Process:
    """One server process with a log file; stopped with TERM, then KILL, together with all it started."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path, cwd: Path) -> None:
        self.name, self.command, self.env, self.log, self.cwd = name, command, dict(env), log, cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, os.getpid()),
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the server's whole process group; nothing happens when it is gone."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def stop(self) -> None:
        self.signal(signal.SIGCONT)  # a stopped process would not see TERM
        self.signal(signal.SIGTERM)
        if self._process:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()

    def check_alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.name} ended at once; the end of its log:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


_NODE = str(Path(hsds_config.__file__).with_name("hsds_node.py"))
OWN_HSDS = "0.9.4"  # the version in this environment, as in the image
HSDS_VERSIONS = ("0.8.4", OWN_HSDS, "1.0.2")


def _hsds_python(version: str) -> str:
    """The interpreter of the environment that has a version of HSDS (`make setup` makes it)."""
    python = Path(sys.executable) if version == OWN_HSDS else Path(sys.prefix) / f"hsds-{version}" / "bin" / "python"
    if not (python.parent / "hsds-datanode").exists():
        raise ServerFailed(f"HSDS {version} is not installed beside {sys.executable}; run 'make setup'")
    return str(python)


def _wait(ready: Callable[[], bool], process: _Process, what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        process.check_alive()
        if time.monotonic() > deadline:
            raise ServerFailed(
                f"{what} is not ready after {START_SECONDS:.0f} s; the end of its log:\n{process.tail()}"
            )
        time.sleep(0.05)


def base_env() -> dict[str, str]:
    """This process's environment without anything that could make a server talk to a real account."""
    foreign = ("AWS_", "HS_", "HSDS_", "FSSPEC_", "BUCKET_NAME", "ROOT_DIR", "PASSWORD_FILE", "CONFIG_DIR")
    return {key: value for key, value in os.environ.items() if not key.startswith(foreign)}


class S3Server:
    """`rclone serve s3`: the S3 protocol over a folder (a bucket is a folder, a key is a file).

    `endpoint`, `access_key` and `secret_key` are what a client needs. rclone and not an in-memory server, because its
    objects outlive a restart and it answers twice as many small requests.
    """

    def __init__(self, root: Path, port: int | None = None, etags: bool = True) -> None:
        """Without `etags` it does not compute the MD5 of the whole object for each request, and none is told."""
        self.data, self.port = root / "s3", port or free_port()
        self.access_key, self.secret_key = "local" + secrets.token_hex(6), secrets.token_hex(16)
        self.data.mkdir(parents=True, exist_ok=True)
        self._process = _Process(
            "rclone",
            [
                program("rclone"),
                "serve",
                "s3",
                str(self.data),
                f"--addr=127.0.0.1:{self.port}",
                *([] if etags else ["--etag-hash="]),
                # writes straight through: with a shared VFS cache PUTs were lost (see docs/measured.md)
                "--vfs-cache-mode=off",
                f"--cache-dir={root / 'rclone-cache'}",
                f"--config={os.devnull}",
            ],
            # the key pair goes in by the environment: an argument list can be read by every user of the machine; the
            # quotes, because rclone reads the variable as one line of CSV
            base_env() | {"RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'},
            root / "s3.log",
            root,
        )

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def env(self) -> dict[str, str]:
        """The environment with which boto3, s3fs and HSDS reach this server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    def client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            # with boto3's newer default, ranged reads of what it wrote itself fail here
            config=ClientConfig(request_checksum_calculation="when_required"),
        )

    def make_bucket(self, name: str) -> None:
        # by the protocol: the server does not look for new folders for some minutes
        self.client().create_bucket(Bucket=name)

    def __enter__(self) -> S3Server:
        self._process.start()
        try:
            _wait(self._answers, self._process, f"the S3 server at {self.endpoint}")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.endpoint, timeout=2).close()
        except urllib.error.HTTPError:
            return True  # 403 without a signature: it serves
        except OSError:
            return False
        return True


# of a pod's HSDS, behind whose back other pods change domains: a differ must see those as they are now. A loader's own
# reads what it wrote itself; with 2 s it gets some of it from storage again while it still writes.
POD_SETTINGS = FOR_LOADING | {"metadata_mem_cache_expire": 2}
LOADER_SETTINGS = FOR_LOADING | {"metadata_mem_cache_expire": 60}


class HsdsServer:
    """One HSDS: data nodes and a service node, standalone (no head node), over a bucket of an `S3Server`.

    With one data node it has the shape of a pod's own HSDS. `settings` are HSDS config keys. Raises `ServerFailed` for
    a version that is not installed.
    """

    def __init__(
        self,
        root: Path,
        s3: S3Server,
        bucket: str,
        users: Mapping[str, str],
        name: str = "hsds",
        settings: Mapping[str, object] | None = None,
        data_nodes: int = 1,
        version: str = OWN_HSDS,
        keeps_clients: bool = True,
    ) -> None:
        """`keeps_clients`: as in a pod of ours; else as HSDS is by itself, like a cluster's: see `hsds_node`."""
        python = _hsds_python(version)
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.version, self.port = name, version, free_port()
        # HSDS numbers its data nodes by the order of their addresses, as texts
        self._dn_ports = sorted((free_port() for _ in range(data_nodes)), key=str)
        passwords = folder / "passwd.txt"
        passwords.touch(mode=0o600)
        passwords.write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
        (folder / "config.yml").write_text(config(FOR_ALL | dict(settings or {})))
        env = base_env() | s3.env() | ({} if keeps_clients else _one_certificate(folder))
        env |= {
            "AWS_S3_GATEWAY": s3.endpoint,
            "BUCKET_NAME": bucket,  # the one way to set the default bucket
            "PASSWORD_FILE": str(passwords),
            "LOG_LEVEL": "WARNING",
            "SN_PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
        }
        # not by the environment, which wins over the file and turns 0.05 into a text
        env = {name: value for name, value in env.items() if name.lower() not in (settings or {})}
        env["CONFIG_DIR"] = str(folder)

        urls = ",".join(f"http://127.0.0.1:{port}" for port in self._dn_ports)
        common = [*([] if keeps_clients else [NEW_CLIENTS]), "--standalone", f"--dn_urls={urls}"]

        def node(kind: str, log: str, *options: str, **own: str) -> _Process:
            command = [python, _NODE, kind, *common, *options]
            return _Process(f"{name} {kind}", command, env | own, folder / log, folder)

        self.dns = [
            node("datanode", "dn.log", f"--node_number={number}", DN_PORT=str(port))
            for number, port in enumerate(self._dn_ports)
        ]
        self.sn = node("servicenode", "sn.log")

    @property
    def dn(self) -> _Process:
        """The data node, the first of several."""
        return self.dns[0]

    @property
    def nodes(self) -> list[_Process]:
        return [*self.dns, self.sn]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start all nodes, without waiting for them."""
        for node in self.nodes:
            node.start()

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.stop()

    def __enter__(self) -> HsdsServer:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_ready(self) -> None:
        """Return when all nodes say READY (the service node answers 200 before that)."""
        for node, port in zip(self.dns, self._dn_ports, strict=True):
            _wait(partial(_is_ready, port, "info"), node, node.name)
        _wait(partial(_is_ready, self.port, "about"), self.sn, self.sn.name)

    def restart(self) -> None:
        """Start whichever node is not running, as Kubernetes would."""
        for node in self.nodes:
            try:
                node.check_alive()
            except ServerFailed:
                node.start()
        self.wait_ready()


@contextmanager
def started(*servers: HsdsServer) -> Iterator[None]:
    """Several servers, which come up side by side, all READY."""
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        for server in servers:
            server.wait_ready()
        yield


def _is_ready(port: int, path: str) -> bool:
    return _state(port, path) == "READY"


def _state(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=2) as answer:
            body = json.load(answer)
    except (OSError, ValueError):
        return None
    state = body.get("state") or body.get("node", {}).get("state")
    return str(state)


def _one_certificate(folder: Path) -> dict[str, str]:
    """The environment of an HSDS that makes a new client, and with it a new TLS context, for each call of its storage.

    Two thirds of a call's CPU went into reading the system's certificates, even for an http gateway. A file with one of
    them takes that away; it is all that such a server can have by its variables alone.
    """
    import certifi

    end = "-----END CERTIFICATE-----\n"
    place = folder / "ca.pem"
    place.write_text(Path(certifi.where()).read_text().split(end)[0] + end)
    return dict.fromkeys(CERTIFICATES, str(place))
