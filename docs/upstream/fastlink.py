"""h5pyd 0.24: what hsload --fastlink links reads as zeros

Needs AWS_ENDPOINT_URL, its keys, and S3_BUCKET, which HSDS can read.
Expected: the same numbers. Seen with HSDS 0.9.4 and 1.0.2: zeros, where there are many chunks; hsload ends with 0.
"""

import os
import subprocess
import sys
import tempfile

import boto3
import h5py
import h5pyd
import numpy as np

numbers = np.arange(1, 100_001, dtype="i4")
bucket = os.environ["S3_BUCKET"]
with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as file:
        file.create_dataset("data", data=numbers, chunks=(500,))
    boto3.client("s3").upload_file(local.name, bucket, "fastlink.h5")
    link = ["--fastlink", "--linkpath", f"s3://{bucket}/fastlink.h5"]
    subprocess.run(["hsload", *link, local.name, "/home/admin/fastlink.h5"], check=True)
with h5pyd.File("/home/admin/fastlink.h5", "r") as file:
    wrong = int(np.count_nonzero(file["data"][...] != numbers))
print(f"{wrong} of {len(numbers)} numbers are wrong")
sys.exit(wrong != 0)
