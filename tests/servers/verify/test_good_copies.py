"""A good copy is called same, in both modes, and the notes say what HSDS does not hold."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("mode", ["link", "ingest", "direct link", "direct ingest"])
def test_a_good_copy_is_same(verify_servers, base_file, base_domains, mode):
    report = verify_servers.verify(base_file, base_domains[mode])
    assert report.same, "\n".join(map(str, report.differences + report.troubles))
    assert report.objects > 50
    assert report.attributes > 30
    assert report.summary().startswith("same: ")
