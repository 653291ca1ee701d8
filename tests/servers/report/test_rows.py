"""Rows as text, JSON and CSV."""

from __future__ import annotations

import csv
import io

from bucket_loader.inventory.claims import Inventory
from bucket_loader.log import printable
from bucket_loader.report import rows


def test_csv_reads_back_as_it_was(inventory: Inventory) -> None:
    stream = io.StringIO()
    rows.write_csv(inventory.rows(), stream)
    stream.seek(0)
    read = list(csv.DictReader(stream))
    known = list(inventory.rows())
    # but for what a spreadsheet would calculate, or a terminal obey
    expected = [("'" if one.filename[0] in "=+-@" else "") + printable(one.filename) for one in known]
    assert [line["filename"] for line in read] == expected and "'=1+1.h5" in expected
    assert [line["state"] for line in read] == [one.state.label for one in known]
    assert read[0]["size"] == str(known[0].size) and read[0]["loaddone"][10] == "T"
    assert {line["vanished"] for line in read} == {""}
