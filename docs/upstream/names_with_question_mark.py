"""h5pyd 0.24: the name of an attribute goes into the address of a request as it is

Expected: the attribute is called "a?b". Seen: "a".
"""

import sys

import h5pyd

with h5pyd.File("/home/admin/names.h5", "w") as file:
    file.attrs["a?b"] = 1
    names = list(file.attrs)
print(names)
sys.exit(names != ["a?b"])
