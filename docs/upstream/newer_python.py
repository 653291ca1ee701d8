"""HSDS 0.9.4: with Python 3.13 and 3.14, or what has wheels for them, its nodes do not start

- It imports bitshuffle, which has no wheels past Python 3.12, for chunks of that one filter alone.
- It asks numcodecs.blosc for `cbuffer_metainfo`, which is `_cbuffer_metainfo` from 0.16 on. 0.15 has no wheels past
  Python 3.13.
- It asks asyncio for the event loop before there is one, which Python 3.14 answers with RuntimeError.

Expected: a node starts. Seen: ModuleNotFoundError, AttributeError, RuntimeError, one after the other.
This script needs no server. It says what of this is so for the Python that it runs on.
"""

import asyncio
import importlib.util
import sys

wrong = []
if importlib.util.find_spec("bitshuffle") is None:
    wrong.append("there is no bitshuffle")
if not hasattr(importlib.import_module("numcodecs.blosc"), "cbuffer_metainfo"):
    wrong.append("numcodecs.blosc has no cbuffer_metainfo")
try:
    asyncio.get_event_loop()
except RuntimeError as error:
    wrong.append(f"RuntimeError: {error}")
print(f"Python {sys.version.split()[0]}: {'; '.join(wrong) or 'nothing is in the way'}")
sys.exit(bool(wrong))
