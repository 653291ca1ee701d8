"""HSDS 0.9: a dataset of an array type takes no values

Expected: three times (1, 2). Seen with 0.9.4: 400, "cannot reshape array of size 6 into shape (3,)".
"""

import os
import sys

import h5pyd
import numpy as np
import requests

endpoint, login = os.environ["HS_ENDPOINT"], (os.environ["HS_USERNAME"], os.environ["HS_PASSWORD"])
domain = {"domain": "/home/admin/array.h5"}
with h5pyd.File(domain["domain"], "w"):
    pass
body = {"type": {"class": "H5T_ARRAY", "base": "H5T_STD_I32LE", "dims": [2]}, "shape": [3]}
made = requests.post(f"{endpoint}/datasets", json=body, params=domain, auth=login, timeout=60)
made.raise_for_status()
values = f"{endpoint}/datasets/{made.json()['id']}/value"
numbers = np.array([[1, 2]] * 3, "<i4")
octets = "application/octet-stream"
stored = requests.put(
    values, numbers.tobytes(), params=domain, auth=login, headers={"Content-Type": octets}, timeout=60
)
answer = requests.get(values, params=domain, auth=login, headers={"Accept": octets}, timeout=60)
print(f"PUT {stored.status_code} {stored.text}, GET {answer.content!r}")
sys.exit(answer.content != numbers.tobytes())
