"""Threads that share a pod's slots: no more of them work at once, and none of them waits for another's flush."""

from __future__ import annotations

import threading
import time

from bucket_loader.pod.slots import Slots


def test_a_slot_is_one_threads_until_it_lets_go() -> None:
    slots = Slots(1)
    one, other = slots.share(), slots.share()
    assert one.take(0)
    assert one.take(0), "who has it keeps it"
    assert not other.take(0)
    one.release()
    one.release()  # what is not held is not given twice
    assert other.take(0)
    assert not one.take(0)


# -- alone -------------------------------------------------------------------------------------------------------------


def yes() -> bool:
    return True


def test_a_row_that_is_to_be_alone_waits_for_those_in_hand_and_nobody_begins_meanwhile() -> None:
    slots = Slots(3)
    first, second, third = slots.share(), slots.share(), slots.share()
    assert first.take(0) and second.take(0)
    began, release = threading.Event(), threading.Event()

    def alone() -> None:
        with second.row(True, yes) as begun:
            assert begun
            began.set()
            release.wait(10)

    thread = threading.Thread(target=alone)
    with first.row(False, yes) as begun:
        assert begun
        thread.start()
        assert not began.wait(0.3), "it is not alone"
        assert not third.take(0), "nobody is to claim a row now"
        with first.row(False, yes) as late:
            assert not late, "nor to begin one that was claimed meanwhile"
        first.release()
        assert not began.wait(0.3), "a row that is flushed is in hand, too"
    assert began.wait(5)
    assert not third.take(0)
    second.release()
    assert not third.take(0), "also while it is flushed"
    release.set()
    thread.join(5)
    assert third.take(0)


def test_who_waits_to_be_alone_can_be_called_off() -> None:
    slots = Slots(2)
    first, second = slots.share(), slots.share()
    going = [True]
    with first.row(False, yes):
        thread = threading.Timer(0.3, going.clear)
        thread.start()
        with second.row(True, lambda: bool(going)) as begun:
            assert not begun
    assert second.take(0)
    with first.row(False, lambda: False) as begun:
        assert not begun


def test_no_two_are_alone_and_none_is_forgotten() -> None:
    slots, in_hand, most, done = Slots(4), [0], [0], []
    lock = threading.Lock()

    def work(number: int) -> None:
        slot = slots.share()
        for turn in range(40):
            alone = (turn + number) % 5 == 0
            while not slot.take(0.1):
                pass
            with slot.row(alone, yes) as begun:
                if begun:
                    with lock:
                        in_hand[0] += 1
                        assert in_hand[0] == 1 or not alone
                        most[0] = max(most[0], in_hand[0])
                    time.sleep(0.001)
                    with lock:
                        assert in_hand[0] == 1 or not alone
                        in_hand[0] -= 1
            slot.release()
        done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(8)) and most[0] > 1
