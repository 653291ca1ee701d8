"""Loads the HDF5 files of an S3 bucket into HSDS with many pods, and checks each of them."""

__version__ = "1.0.0"
