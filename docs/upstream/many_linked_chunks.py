"""HSDS 0.9: a linked dataset of many small chunks cannot be read

HSDS makes one chunk of about 1 MiB of them, and names all of them in the address of one request from its service node
to its data node. Its HTTP server takes 8,190 bytes. Needs AWS_ENDPOINT_URL, its keys, and S3_BUCKET, which HSDS can
read.
Expected: the same numbers. Seen with 0.9.4: an error.
"""

import os
import subprocess
import sys
import tempfile

import boto3
import h5py
import h5pyd
import numpy as np

numbers = np.arange(256 * 2000, dtype="i4")
bucket = os.environ["S3_BUCKET"]
with tempfile.NamedTemporaryFile(suffix=".h5") as local:
    with h5py.File(local.name, "w") as file:
        file.create_dataset("data", data=numbers, chunks=(256,))
    boto3.client("s3").upload_file(local.name, bucket, "many_chunks.h5")
    link = ["--link", "--linkpath", f"s3://{bucket}/many_chunks.h5"]
    subprocess.run(["hsload", *link, local.name, "/home/admin/many_chunks.h5"], check=True)
try:
    with h5pyd.File("/home/admin/many_chunks.h5", "r", retries=0) as file:
        same = bool((file["data"][:1000] == numbers[:1000]).all())
except OSError as error:
    print(f"cannot be read: {error}")
    sys.exit(1)
print("the same" if same else "other numbers")
sys.exit(not same)
