"""HSDS 0.9: the row limit of a conditional update holds for each chunk of the table

Who takes "one row that is free", with PUT value, `query` and `Limit=1`, takes one from each chunk.
Expected: one row is changed. Seen with 0.9.4: one of each chunk, and the answer has one.
"""

import sys

import h5pyd
import numpy as np

ROWS = 300_000
kind = np.dtype([("state", "i4"), ("number", "f8")])
with h5pyd.File("/home/admin/limit.h5", "w", retries=0) as file:
    table = file.create_table("rows", numrows=ROWS, dtype=kind)
    rows = np.zeros(ROWS, kind)
    rows["number"] = np.arange(ROWS)
    table[...] = rows
    table.update_where("state == 0", {"state": 1}, limit=1)
    changed = int(np.count_nonzero(table[...]["state"]))
    chunks = -(-ROWS // table.chunks[0])
print(f"{changed} rows of {chunks} chunks are changed")
sys.exit(changed != 1)
