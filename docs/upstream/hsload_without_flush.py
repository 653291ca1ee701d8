"""h5pyd: hsload ends with 0 while its last objects are in the memory of the data node alone

A data node writes an object a second or two after its last change. One that dies in that time loses it, and the load
was a success. HS_ENDPOINT_2 is another HSDS on the same bucket: it sees what was written. h5pyd's flush() waits for it.
Expected: all datasets are there. Seen with HSDS 0.9.4: some are not.
"""

import os
import sys
import tempfile

import h5py
import h5pyd
import numpy as np
from h5pyd._apps import hsload

COUNT = 20
with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as file:
        for number in range(COUNT):
            file.create_dataset(f"{number}", data=np.ones(1000), chunks=(1000,))
    sys.argv = ["hsload", local.name, "/home/admin/flush.h5"]
    hsload.main()  # in this process: to start and end another one takes as long as the data node waits
there = 0
try:
    with h5pyd.File("/home/admin/flush.h5", "r", endpoint=os.environ["HS_ENDPOINT_2"], use_cache=False) as file:
        for number in reversed(range(COUNT)):
            there += bool((file[f"{number}"][...] == 1).all())
except (KeyError, OSError) as error:
    print(error)
print(f"{there} of {COUNT} datasets are there")
sys.exit(there != COUNT)
