"""HSDS 0.9: of a linked dataset without chunks at the end of its file, the last piece reads as zeros

HSDS cuts it into pieces of equal size and reads each whole. Where the last one goes past the end of the file, nothing
of it is kept (storUtil.getStorBytes: `buffer[:len(data)]` assigns nothing). Needs AWS_ENDPOINT_URL, its keys, and
S3_BUCKET, which HSDS can read.
Expected: the same numbers. Seen with 0.9.4: the last 324,925 of 1,299,709 are 0, no error.
"""

import os
import subprocess
import sys
import tempfile

import boto3
import h5py
import h5pyd
import numpy as np

numbers = np.arange(1, 1_299_710, dtype="f8")
bucket = os.environ["S3_BUCKET"]
with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as file:
        file["data"] = numbers
    boto3.client("s3").upload_file(local.name, bucket, "at_the_end.h5")
    link = ["--link", "--linkpath", f"s3://{bucket}/at_the_end.h5"]
    subprocess.run(["hsload", *link, local.name, "/home/admin/at_the_end.h5"], check=True)
with h5pyd.File("/home/admin/at_the_end.h5", "r") as file:
    wrong = int(np.count_nonzero(file["data"][...] != numbers))
print(f"{wrong} of {len(numbers)} numbers are wrong")
sys.exit(wrong != 0)
