"""h5pyd 0.24: hsdiff calls two equal datasets with a NaN different

Expected: status 0. Seen: 1.
"""

import subprocess
import sys
import tempfile

import h5py
import h5pyd
import numpy as np

with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as mine, h5pyd.File("/home/admin/nan.h5", "w") as other:
        for file in (mine, other):
            file.create_dataset("data", data=np.array([1.0, np.nan, 3.0]), chunks=(3,))
    done = subprocess.run(["hsdiff", local.name, "/home/admin/nan.h5"], stdout=subprocess.PIPE, text=True)
print(f"status {done.returncode}: {done.stdout.strip()}")
sys.exit(done.returncode != 0)
