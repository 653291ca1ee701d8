"""HDF5 objects in one form, whichever side they come from: a file, or a domain of HSDS."""
