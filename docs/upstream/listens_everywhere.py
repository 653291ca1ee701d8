"""HSDS: its nodes listen on every interface, and a data node asks for no password

A data node is behind a service node, often on the same host. Whoever reaches its port may read any ACL, and delete
any domain: a firewall or network policy is all that is between. `run_app` gets a port and no host.
Expected: a setting for the address, 127.0.0.1 where all nodes are on one host. Seen with 0.8.4, 0.9.4 and 1.0.2: it
answers at 127.0.0.2, too.
This script starts a data node of its own, on Linux; no server is needed.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]


def answers(address: str) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((address, port)) == 0


with tempfile.TemporaryDirectory() as folder:
    env = os.environ | {"DN_PORT": str(port), "ROOT_DIR": folder, "BUCKET_NAME": "bucket", "LOG_LEVEL": "ERROR"}
    node = [sys.executable, "-c", "import sys; from hsds import datanode; sys.exit(datanode.main())"]
    node += ["--standalone", f"--dn_urls=http://127.0.0.1:{port}", "--node_number=0"]
    log = Path(folder) / "log"
    with log.open("wb") as said:
        # in another folder HSDS might find a config.yml that is not its own
        process = subprocess.Popen(node, env=env, cwd=folder, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while not answers("127.0.0.1") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if not answers("127.0.0.1"):
            sys.exit(f"the node did not start: {log.read_text()[-2000:]}")
        # to the host itself, and not the address of its peers
        elsewhere = answers("127.0.0.2")
    finally:
        process.kill()
        process.wait()
print(f"the data node answers at {'every address' if elsewhere else '127.0.0.1 alone'}")
sys.exit(elsewhere)
