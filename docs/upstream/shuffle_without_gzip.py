"""HSDS 0.9: a dataset with shuffle and without gzip is lost when the data node ends

Such a chunk is written as it is, and unshuffled when it is read again. Right after the write all is well: the chunk is
in the cache. HS_ENDPOINT_2 is another HSDS on the same bucket (or the same one, restarted).
Expected: the same numbers. Seen with 0.9.4: other numbers, no error.
"""

import os
import sys

import h5pyd
import numpy as np

numbers = np.arange(100_000, dtype="i4")
with h5pyd.File("/home/admin/shuffled.h5", "w") as file:
    file.create_dataset("data", data=numbers, chunks=(100_000,), shuffle=True)
    file.flush()
with h5pyd.File("/home/admin/shuffled.h5", "r", endpoint=os.environ["HS_ENDPOINT_2"], use_cache=False) as file:
    wrong = int(np.count_nonzero(file["data"][...] != numbers))
print(f"{wrong} of {len(numbers)} numbers are wrong")
sys.exit(wrong != 0)
