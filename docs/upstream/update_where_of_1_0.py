"""h5pyd 1.0.0: `Table.update_where` reads the rows and then writes them, so that two clients change the same row

Up to 0.24 it was one request, which a server answers for one client after the other; workers that share a table could
take a row each by it. Expected: no row is won twice. Seen with 1.0.0: of 200 rows, taken by four processes, more than
half were won by several.
This script wants h5pyd 1.0.0, and an HSDS of 1.0, whose datasets it can make.
"""

import multiprocessing
import sys

import h5pyd
import numpy as np

DOMAIN, ROWS, CLIENTS = "/home/admin/update_where.h5", 100, 4


def take(client: int) -> list[int]:
    """The rows that this client won."""
    won = []
    with h5pyd.File(DOMAIN, "r+", retries=0, use_cache=False) as file:
        table = file["rows"]
        while True:
            found = table.update_where("state == 0", {"state": client}, limit=1)
            indices = [] if found is None else np.asarray(found).reshape(-1).tolist()
            if not indices:
                return won
            won += [int(one[0]) if isinstance(one, (tuple, list)) else int(one) for one in indices]


if __name__ == "__main__":
    kind = np.dtype([("state", "i4"), ("number", "f8")])
    with h5pyd.File(DOMAIN, "w", retries=0) as file:
        table = file.create_table("rows", numrows=ROWS, dtype=kind)
        rows = np.zeros(ROWS, kind)
        rows["number"] = np.arange(ROWS)
        table[...] = rows
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        won = [row for rows in pool.map(take, range(1, CLIENTS + 1)) for row in rows]
    twice = len(won) - len(set(won))
    print(f"h5pyd {h5pyd.__version__}: {len(set(won))} of {ROWS} rows were won, {twice} of them more than once")
    sys.exit(twice > 0)
