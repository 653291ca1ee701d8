"""h5pyd 0.24: the exit status of hsdiff is the number of differences, so that 256 are none

Expected: a status that is not 0 for files that differ. Seen: 0.
"""

import subprocess
import sys
import tempfile

import h5py
import h5pyd
import numpy as np

with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as mine, h5pyd.File("/home/admin/status.h5", "w") as other:
        for number in range(256):
            mine[f"{number:03}"], other[f"{number:03}"] = np.int32(1), np.int32(2)
    done = subprocess.run(["hsdiff", local.name, "/home/admin/status.h5"], stdout=subprocess.PIPE, text=True)
print(f"status {done.returncode} with {len(done.stdout.splitlines())} lines of differences")
sys.exit(done.returncode == 0)
