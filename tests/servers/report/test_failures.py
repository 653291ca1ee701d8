"""Failures by reason."""

from __future__ import annotations

from collections import Counter

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.states import State
from bucket_loader.report import failures
from bucket_loader.report.select import Selection


def test_groups_of_a_real_inventory(inventory: Inventory) -> None:
    found = failures.groups(inventory, Selection())
    failed = [row for row in inventory.rows() if row.state in (State.LOAD_FAILED, State.CHECK_FAILED)]
    assert sum(group.count for group in found) == len(failed) > 50
    assert [group.count for group in found] == sorted((group.count for group in found), reverse=True)
    timeouts = next(group for group in found if "took too long" in group.reason)
    assert timeouts.reason == "took too long: N s"
    assert timeouts.count == sum("took too long" in row.loadreason for row in failed)
    by_key = {row.filename: row for row in failed}
    for group in found:
        row = by_key[group.example]
        assert group.said == (row.loadreason if group.work == "load" else row.diffresult)
    assert Counter(group.work for group in found)["check"] == 1


def test_a_choice_of_failures(inventory: Inventory) -> None:
    found = failures.groups(inventory, Selection(frozenset({State.CHECK_FAILED, State.VERIFIED})))
    assert [group.work for group in found] == ["check"]
    assert failures.groups(inventory, Selection(patterns=("nothing",))) == []
