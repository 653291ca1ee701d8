"""HSDS: a compound with a single member of variable length is taken for that member

Expected: the texts in their compounds, as with two members. Seen: 400 (0.9.4), 500 (1.0.2).
"""

import sys

import h5pyd
import numpy as np
from requests.exceptions import RetryError

text = h5pyd.special_dtype(vlen=str)
two, one = (np.dtype([(name, text) for name in names]) for names in ("ab", "a"))
with h5pyd.File("/home/admin/member.h5", "w", retries=0) as file:
    file.create_dataset("two", data=np.array([("one", "x"), ("two", "y")], two), chunks=(2,))
    print(len(file["two"][...]), "values of two members")
    try:
        file.create_dataset("one", data=np.array([("one",), ("two",)], one), chunks=(2,))
        print(len(file["one"][...]), "values of one member")
    except (OSError, RetryError) as error:
        print(f"one member: {error}")
        sys.exit(1)
