"""Signals: the first one is a wish, the second one acts, and everything is as before afterwards."""

import os
import signal
import threading

import pytest

from training.interrupts import SIGNALS, Interrupted, noticed


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_next_one_acts(number: signal.Signals) -> None:
    acted: list[int] = []
    before = signal.signal(number, lambda n, _: acted.append(n))
    try:
        with noticed() as wish:
            assert wish.signal == 0
            os.kill(os.getpid(), number)
            assert wish.signal == number
            assert acted == []
            os.kill(os.getpid(), number)
            assert acted == [number]
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back_whatever_happens() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    def breaks() -> None:
        with noticed():
            assert [signal.getsignal(number) for number in SIGNALS] != before
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        breaks()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_in_another_thread_nothing_is_touched() -> None:
    found: list[int] = []

    def work() -> None:
        with noticed() as wish:
            found.append(wish.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


def test_an_interruption_says_where_it_was() -> None:
    stop = Interrupted(7, 15, signal.SIGTERM)
    assert str(stop) == "stopped after step 7 of 15, which is saved"
    assert stop.number == 15
