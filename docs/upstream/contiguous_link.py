"""HSDS 1.0 with h5pyd 0.24: hsload --link cannot link a contiguous dataset

h5pyd sends "maxdims" with the layout H5D_CONTIGUOUS_REF, which 0.9 took.
Expected: the dataset is made. Seen with 1.0.2: 400, "'maxdims' key can not be provided for H5D_CONTIGUOUS_REF layout".
"""

import sys

import h5pyd

layout = {"class": "H5D_CONTIGUOUS_REF", "file_uri": "s3://bucket/file.h5", "offset": 2048, "size": 800_000}
with h5pyd.File("/home/admin/contiguous.h5", "w") as file:
    try:
        file.create_dataset("data", shape=(100_000,), maxshape=(100_000,), dtype="f8", chunks=layout)
    except OSError as error:
        print(error)
        sys.exit(1)
print("made")
