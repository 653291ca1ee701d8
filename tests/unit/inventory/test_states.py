"""The life of a row."""

from __future__ import annotations

import pytest

from bucket_loader.inventory.states import ACTIVE, CHECK, FINISHED, LOAD, WORKER_MOVES, ForbiddenMove, State, check_move


def test_both_kinds_of_work_lead_from_ready_over_active_to_an_end() -> None:
    for work in (LOAD, CHECK):
        assert work.active in ACTIVE
        for after in (work.done, work.failed, work.ready, State.NEW):
            check_move(work.active, after)


def test_no_worker_moves_a_row_that_nobody_holds() -> None:
    for before in set(State) - ACTIVE:
        for after in State:
            with pytest.raises(ForbiddenMove):
                check_move(before, after)


def test_every_allowed_move_and_no_other() -> None:
    allowed = {(before, after) for before, targets in WORKER_MOVES.items() for after in targets}
    for before in State:
        for after in State:
            if (before, after) in allowed:
                check_move(before, after)
            else:
                with pytest.raises(ForbiddenMove):
                    check_move(before, after)


def test_a_blank_row_is_zero_and_in_no_set() -> None:
    assert State(0) is State.BLANK
    assert State.BLANK not in ACTIVE | FINISHED
