"""HSDS's objects in a bucket, written without HSDS: the direct engine. The schema is version 2 of HSDS's storage."""
