"""The inventory on a real HSDS: claims, finishes, odd keys, races, lost answers."""

from __future__ import annotations

import multiprocessing
import subprocess
import time
from collections import Counter
from pathlib import Path

import h5py
import h5pyd
import numpy as np
import pytest

from bucket_loader.hsds import Hsds, Unavailable
from bucket_loader.inventory import table as inventory_module
from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.model import COLUMNS, Claim, Outcome, key_digest
from bucket_loader.inventory.states import CHECK, LOAD, ForbiddenMove, State
from bucket_loader.inventory.table import InventoryError
from bucket_loader.local.servers import program
from bucket_loader.s3 import SourceObject
from tests.proxy import lossy
from tests.world import PASSWORD, USER, World


def item(key: str, size: int = 100, etag: str = "etag-1", modified: int = 1_700_000_000) -> SourceObject:
    return SourceObject(key, size, etag, modified)


ODD_KEYS = [
    "it's.h5",
    'say "hi".h5',
    "a b + c.h5",
    "50%25 off.h5",
    "#1?x=y&z=1;.h5",
    "größe/温度.h5",
    "back\\slash.h5",
    "state == 1 | state == 2.h5",
    "ü" * 510 + ".h5x",  # 1,024 bytes
]


@pytest.fixture
def inventory(world: World) -> Inventory:
    return world.make_inventory()


def claim(inventory: Inventory, work: inventory_module.Work = LOAD, lease: float = 60) -> Claim:
    found = inventory.claim(work, "pod-1", lease)
    assert found is not None
    return found


def loaded(inventory: Inventory) -> Claim:
    held = claim(inventory)
    assert inventory.finish(held, Outcome(State.LOADED, 0, mode="link")) is State.LOADED
    return held


def test_the_columns_of_2021_come_first_and_hold_every_key_and_pod_name() -> None:
    assert COLUMNS.names is not None
    assert COLUMNS.names[:10] == (
        "filename",
        "loadstart",
        "loaddone",
        "loadstatus",
        "loadpodname",
        "diffstart",
        "diffdone",
        "diffstatus",
        "diffpodname",
        "diffresult",
    )
    assert COLUMNS["filename"].itemsize == 1024
    assert COLUMNS["loadpodname"].itemsize == COLUMNS["diffpodname"].itemsize == 253


def test_odd_keys_go_all_the_way_through(inventory: Inventory) -> None:
    inventory.append([item(key) for key in ODD_KEYS])
    assert [row.filename for row in inventory.rows()] == ODD_KEYS
    claimed = [claim(inventory).row.filename for _ in ODD_KEYS]
    assert claimed == ODD_KEYS
    assert inventory.claim(LOAD, "pod-1", 60) is None


def test_a_row_from_claim_to_verified(inventory: Inventory) -> None:
    before = int(time.time())
    inventory.append([item("a.h5", size=7)])
    held = claim(inventory)
    row = inventory.row(0)
    assert (row.state, row.loadpodname, row.loadattempts, row.loadstatus) == (State.LOADING, "pod-1", 1, -1)
    assert row.loadstart >= before and row.lease >= before + 59
    assert inventory.finish(held, Outcome(State.LOADED, 0, mode="link")) is State.LOADED
    row = inventory.row(0)
    assert (row.state, row.loadstatus, row.loadmode, row.size) == (State.LOADED, 0, "link", 7)
    assert row.loaddone >= row.loadstart
    check = claim(inventory, CHECK)
    assert inventory.row(0).state is State.CHECKING
    assert inventory.finish(check, Outcome(State.VERIFIED, 0, "PASSED")) is State.VERIFIED
    row = inventory.row(0)
    assert (row.state, row.diffresult, row.diffpodname) == (State.VERIFIED, "PASSED", "pod-1")
    assert row.loaddone >= before, "the check must not touch the load's columns"


def test_a_failed_load_keeps_its_reason_in_one_ascii_line(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    reason = "cannot open größe.h5:\n  truncated 'file' \x00" + "x" * 400
    assert inventory.finish(claim(inventory), Outcome(State.LOAD_FAILED, 255, reason)) is State.LOAD_FAILED
    row = inventory.row(0)
    assert row.loadreason.startswith("cannot open gr\\xf6\\xdfe.h5: truncated 'file'")
    assert len(row.loadreason) == 256 and row.loadreason.endswith("...")
    assert inventory.claim(LOAD, "pod-1", 60) is None


def test_another_try_waits_and_counts_on(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    assert inventory.finish(claim(inventory), Outcome(State.NEW, 1, "503", wait=30)) is State.NEW
    assert inventory.claim(LOAD, "pod-1", 60) is None
    again = inventory.claim(LOAD, "pod-1", 60, now=time.time() + 31)
    assert again is not None and again.attempt == 2
    assert inventory.row(0).loadreason == "503"


def test_a_released_row_is_as_before(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    assert inventory.release(claim(inventory)) is State.NEW
    row = inventory.row(0)
    assert (row.state, row.loadattempts, row.loadstart, row.loadpodname) == (State.NEW, 0, 0, "")
    loaded(inventory)
    assert inventory.release(claim(inventory, CHECK)) is State.LOADED
    assert inventory.row(0).loaddone > 0


def test_a_row_whose_worker_died_stays_one_when_it_is_given_back_unbegun(inventory: Inventory) -> None:
    """Else it would next be worked on beside others again, and might take them along."""
    inventory.append([item("a.h5")])
    claim(inventory, lease=60)
    later = time.time() + 62
    for _ in range(2):
        found = inventory.claim(LOAD, "pod-2", 60, now=later)
        assert found is not None and (found.taken_over, found.attempt) == (True, 1)
        assert inventory.release(found) is State.NEW


def test_a_lease_that_ran_out_goes_to_another_worker_and_the_first_one_notices(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    first = claim(inventory, lease=60)
    assert inventory.claim(LOAD, "pod-2", 60) is None
    second = inventory.claim(LOAD, "pod-2", 60, now=time.time() + 62)
    assert second is not None and second.taken_over
    assert inventory.renew(first, 60) is False
    assert inventory.finish(first, Outcome(State.LOADED)) is None
    assert inventory.release(first) is None
    assert inventory.row(0).state is State.LOADING
    assert inventory.finish(second, Outcome(State.LOADED)) is State.LOADED


def test_a_renewed_lease_holds(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    held = claim(inventory, lease=1)
    assert inventory.renew(held, 100)
    assert inventory.claim(LOAD, "pod-2", 60, now=time.time() + 50) is None


def test_some_columns_go_into_a_row_together_with_its_claim_if_it_was_never_tried(inventory: Inventory) -> None:
    fill(inventory, 5)
    claim(inventory)  # a worker's first one looks for where rows wait
    first = {"newroot": "0123456789abcdef", "cleanup": 1_700_000_000}

    def taken() -> Claim:
        found = inventory.claim(LOAD, "pod-1", 60, first=first)
        assert found is not None
        return found

    held = taken()
    assert held.first == first and (held.row.newroot, held.row.cleanup) == tuple(first.values())
    assert inventory.row(held.row.index) == held.row
    assert inventory.finish(held, Outcome(State.LOADED, columns={"newroot": "", "cleanup": 0})) is State.LOADED
    row = inventory.row(held.row.index)
    assert (row.newroot, row.cleanup) == ("", 0)

    tried, named = taken(), taken()
    assert inventory.finish(tried, Outcome(State.NEW)) is State.NEW  # it still names what was written
    assert inventory.release(named) is State.NEW
    last = taken()
    again = [taken(), taken()]
    assert last.first == first and {one.row.index for one in again} == {tried.row.index, named.row.index}
    assert not any(one.first for one in again)


def test_a_worker_cannot_make_a_forbidden_move(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    with pytest.raises(ForbiddenMove, match="from loading to verified"):
        inventory.finish(claim(inventory), Outcome(State.VERIFIED))


def test_a_finish_is_thrown_away_when_the_source_changed_meanwhile(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    held = claim(inventory)
    newer = item("a.h5", size=200, etag="etag-2")
    assert inventory.source_changed(0, held.row.rowid, newer, version=1) is False
    assert inventory.finish(held, Outcome(State.LOADED, 0)) is State.NEW
    row = inventory.row(0)
    assert (row.state, row.etag, row.loaddone, row.loadattempts) == (State.NEW, "etag-2", 0, 0)


def test_a_check_that_is_given_back_after_a_change_is_new(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    loaded(inventory)
    held = claim(inventory, CHECK)
    inventory.source_changed(0, held.row.rowid, item("a.h5", etag="etag-2"), version=1)
    assert inventory.release(held) is State.NEW


def test_a_changed_source_makes_an_idle_row_new(inventory: Inventory) -> None:
    inventory.append([item("a.h5"), item("b.h5")])
    held = loaded(inventory)
    assert inventory.source_changed(0, held.row.rowid, item("a.h5", etag="etag-2"), version=1) is True
    assert [row.state for row in inventory.rows()] == [State.NEW, State.NEW]
    assert [row.etag for row in inventory.rows()] == ["etag-2", "etag-1"]


def test_blank_rows_are_never_claimed_nor_shown(inventory: Inventory, world: World) -> None:
    inventory.append([item("a.h5")])
    # what readers see in the middle of an append: the table is longer, its new rows are zeros
    with h5pyd.File(
        world.inventory_domain, "r+", endpoint=world.cluster.endpoint, username=USER, password=PASSWORD
    ) as file:
        file["inventory"].resize(5, axis=0)
    assert inventory.count() == 5
    assert claim(inventory).row.filename == "a.h5"
    assert inventory.claim(LOAD, "pod-1", 60) is None
    assert len(list(inventory.rows())) == 1
    assert inventory.counts()[State.BLANK] == 4


def test_some_columns_in_any_order(inventory: Inventory) -> None:
    inventory.append([item(f"{number}.h5", size=number) for number in range(3)])
    block = inventory.read(0, 3, ["size", "state", "filename", "keyhash"])
    assert block["size"].tolist() == [0, 1, 2]
    assert block["filename"].tolist() == [b"0.h5", b"1.h5", b"2.h5"]
    assert block["keyhash"].tolist() == [key_digest(f"{number}.h5").hex().encode() for number in range(3)]


def test_making_an_inventory_that_is_there_already(inventory: Inventory, world: World) -> None:
    with pytest.raises(InventoryError, match=r"is there already; --force replaces it"):
        world.make_inventory()


def test_opening_what_is_no_inventory(world: World) -> None:
    with pytest.raises(InventoryError, match=r"there is no inventory .* make one with make_inventory.py"):
        world.inventory()


def test_an_inventory_of_2021_can_be_read(world: World) -> None:
    old = [(name, COLUMNS[name].str) for name in (COLUMNS.names or ())[:10]]
    old = [(name, {"filename": "S64", "diffresult": "S80"}.get(name, kind)) for name, kind in old]
    rows = [
        ("new.h5", 0, 0, 0, "", 0, 0, 0, "", ""),
        ("loading.h5", 5, 0, -1, "p", 0, 0, 0, "", ""),
        ("bad.h5", 5, 6, 1, "p", 0, 0, 0, "", ""),
        ("loaded.h5", 5, 6, 0, "p", 0, 0, 0, "", ""),
        ("good.h5", 5, 6, 0, "p", 7, 8, 0, "q", "PASSED"),
        ("differs.h5", 5, 6, 0, "p", 7, 8, 1, "q", "1 difference"),
    ]
    with h5pyd.File(
        world.inventory_domain, "w", endpoint=world.cluster.endpoint, username=USER, password=PASSWORD
    ) as file:
        table = file.create_table("inventory", dtype=np.dtype(old))
        table.append([tuple(value.encode() if isinstance(value, str) else value for value in row) for row in rows])
    with pytest.raises(InventoryError, match=r"made by another version \(it has no column 'state'\)"):
        world.inventory()
    found = Inventory.open(world.cluster, world.inventory_domain, any_columns=True)
    assert [row.state for row in found.rows()] == [
        State.NEW,
        State.LOADING,
        State.LOAD_FAILED,
        State.LOADED,
        State.VERIFIED,
        State.CHECK_FAILED,
    ]


def test_a_restarted_pod_takes_up_its_own_claims_at_once_and_no_others(inventory: Inventory) -> None:
    inventory.append([item("a.h5"), item("b.h5"), item("c.h5")])
    for pod in ("pod-1", "pod-10", "pod-1"):
        assert inventory.claim(LOAD, pod, 600) is not None
    assert inventory.claim(LOAD, "pod-1", 600) is None
    assert inventory.forget_claims(CHECK, "pod-1") == 0
    assert inventory.forget_claims(LOAD, "pod-1") == 2
    assert [claim(inventory).row.index for _ in range(2)] == [0, 2]
    assert inventory.claim(LOAD, "pod-1", 600) is None
    assert inventory.forget_claims(LOAD, "x' | state == 1 | loadpodname == b'") == 0


def test_a_row_that_was_put_back_is_lost_to_its_worker(inventory: Inventory) -> None:
    inventory.append([item("a.h5")])
    held = claim(inventory)
    assert inventory.put_back(inventory.row(0), State.NEW)
    assert inventory.renew(held, 60) is False
    assert inventory.finish(held, Outcome(State.LOADED)) is None
    assert inventory.row(0).state is State.NEW
    old = inventory.row(0)
    claim(inventory)
    assert inventory.put_back(old, State.NEW) is False, "it changed since it was read"


# -- what the naive version gets wrong --------------------------------------------------------------------------------


def fill(inventory: Inventory, count: int) -> None:
    for start in range(0, count, 1000):
        inventory.append([item(f"file-{number:06}.h5") for number in range(start, min(start + 1000, count))])


def test_hsds_applies_the_limit_of_a_whole_table_update_to_every_chunk(inventory: Inventory, world: World) -> None:
    """The hazard itself, so that the day it goes away is noticed: 1.0 counts what other chunks have given already."""
    total = 3 * inventory.chunk_rows
    fill(inventory, total)
    update_rows(inventory, (0, total))
    loading = inventory.counts()[State.LOADING]
    assert loading == 3 if world.servers.cluster.version < "1" else loading in (1, 2, 3)


def test_a_conditional_update_does_not_honour_a_selection_inside_a_chunk(inventory: Inventory) -> None:
    """Why a condition must pick its row by itself."""
    fill(inventory, 20)
    update_rows(inventory, (10, 20))
    assert next(row.index for row in inventory.rows() if row.state is State.LOADING) < 10


def update_rows(inventory: Inventory, rows: tuple[int, int]) -> None:
    condition, values = f"state == {int(State.NEW)}", {"state": int(State.LOADING)}
    inventory._hsds.update_rows(inventory.table_id, inventory.domain, condition, rows, values, limit=1, again=False)


def _racer(endpoint: str, domain: str, name: str, barrier: object, results: object) -> None:
    inventory = Inventory.open(Hsds(endpoint, USER, PASSWORD), domain)
    barrier.wait()  # type: ignore[attr-defined]
    won = []
    while held := inventory.claim(LOAD, name, 600):
        won.append((held.row.index, held.row.filename, held.token))
    results.put((name, won))  # type: ignore[attr-defined]


@pytest.mark.timeout(240)
def test_a_race_of_eight_processes_has_exactly_one_winner_per_row(inventory: Inventory, world: World) -> None:
    chunk = inventory.chunk_rows
    total = 2 * chunk + 400  # three chunks
    fill(inventory, total)
    # most rows are taken already, so that the eight really meet: 150 are left in each chunk
    for part in range(3):
        inventory._update(part, min((part + 1) * chunk, total), "state == 1", {"state": 6}, limit=10_000, again=True)
        inventory._update(part, min((part + 1) * chunk, total), "state == 6", {"state": 1}, limit=150, again=True)
    assert inventory.counts()[State.NEW] == 450
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(8), context.Queue()
    racers = [
        context.Process(
            target=_racer, args=(world.cluster.endpoint, world.inventory_domain, f"pod-{n}", barrier, results)
        )
        for n in range(8)
    ]
    for racer in racers:
        racer.start()
    won = dict(results.get(timeout=200) for _ in racers)
    for racer in racers:
        racer.join(30)
    wins = Counter(index for claims in won.values() for index, _, _ in claims)
    assert len(wins) == 450 and set(wins.values()) == {1}
    # and the table agrees with every winner: none is stranded with an owner who does not know it
    rows = {row.index: row for row in inventory.rows()}
    for name, claims in won.items():
        for index, filename, token in claims:
            row = rows[index]
            assert (row.state, row.loadpodname, row.filename, row.token) == (State.LOADING, name, filename, token)
    assert inventory.counts()[State.LOADING] == 450


@pytest.mark.parametrize("lost", ["claim", "attempt", "finish", "release"])
def test_a_lost_answer_strands_nothing(inventory: Inventory, world: World, lost: str) -> None:
    """The connection breaks after the server did what it was asked, before its answer arrives."""
    inventory.append([item("a.h5"), item("b.h5")])
    with lossy(world.servers.cluster.port) as proxy:
        through = inventory.clone(Hsds(proxy.endpoint, USER, PASSWORD))
        put = f"PUT {through._value}".encode()
        if lost == "claim":
            proxy.lose = [put]
        held = through.claim(LOAD, "pod-1", 60)
        assert held is not None and held.row.filename == "a.h5"
        if lost == "attempt":
            assert through.release(held) is State.NEW
            # the second PUT of a claim counts the attempt
            proxy.lose = []
            original = through._update_at

            def lose_next(*arguments: object, **named: object) -> bool:
                proxy.lose = [put]
                through._update_at = original  # type: ignore[method-assign]
                return original(*arguments, **named)  # type: ignore[arg-type]

            through._update_at = lose_next  # type: ignore[method-assign]
            held = through.claim(LOAD, "pod-1", 60)
            assert held is not None and held.attempt == 1
        if lost in ("finish", "release"):
            proxy.lose = [put]
        if lost == "release":
            assert through.release(held) is State.NEW
        else:
            assert through.finish(held, Outcome(State.LOADED)) is State.LOADED
        assert proxy.lost == 1
    states = [row.state for row in inventory.rows()]
    assert states == [State.NEW if lost == "release" else State.LOADED, State.NEW]


def test_a_server_that_is_away_is_said_to_be(world: World) -> None:
    away = Hsds("http://127.0.0.1:9", USER, PASSWORD, patience=0.1)
    with pytest.raises(Unavailable, match=r"HSDS at http://127.0.0.1:9 does not answer \(.*Connection refused\)"):
        Inventory.open(away, world.inventory_domain)


def test_hsget_makes_a_file_of_it(world: World, inventory: Inventory, tmp_path: Path) -> None:
    """What people do to keep one. With lz4, a tenth of gzip's CPU for HSDS, hsget ends with a stack trace."""
    inventory.append([item("a.h5"), item("b.h5")])
    target = tmp_path / "inventory.h5"
    login = ["--endpoint", world.servers.cluster.endpoint, "--user", USER, "--password", PASSWORD]
    argv = [program("hsget"), *login, inventory.domain, str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    with h5py.File(target) as file:
        assert list(file["inventory"].fields("filename")[:]) == [b"a.h5", b"b.h5"]
