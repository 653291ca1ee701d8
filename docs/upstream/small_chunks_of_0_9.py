"""HSDS 1.0 cannot read a dataset of small chunks that 0.9 wrote

0.9 makes chunks below `min_chunk_size` larger: its `layout` says so, `creationProperties.layout` has what was asked
for. 1.0 takes the chunk shape from `creationProperties.layout`. HS_ENDPOINT is 0.9.4, HS_ENDPOINT_2 is 1.0.2 on the
same bucket.
Expected: the same numbers. Seen: 500 Internal Server Error, or other numbers.
"""

import os
import sys

import h5pyd
import numpy as np

numbers = np.arange(40_000, dtype="i4").reshape(200, 200)
with h5pyd.File("/home/admin/small_chunks.h5", "w") as file:
    file.create_dataset("data", data=numbers, chunks=(20, 50))
    file.flush()
try:
    with h5pyd.File(
        "/home/admin/small_chunks.h5", "r", endpoint=os.environ["HS_ENDPOINT_2"], use_cache=False, retries=0
    ) as file:
        same = bool((file["data"][...] == numbers).all())
except OSError as error:
    print(f"cannot be read: {error}")
    sys.exit(1)
print("the same" if same else "other numbers")
sys.exit(not same)
