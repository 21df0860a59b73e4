"""Ctrl-C and SIGTERM are noted, and left to the program where they are none of our business."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest

from seqcli.core.signals import Signals
from seqcli.errors import ExitCode, Interrupted


def test_the_first_ctrl_c_is_noted_and_the_second_quits() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Signals() as signals:
        assert signals.received is None
        signal.raise_signal(signal.SIGINT)
        assert signals.received == signal.SIGINT
        signal.raise_signal(signal.SIGTERM)
        assert signals.received == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_sigterm_does_not_stop_the_saving() -> None:
    saved = False
    with pytest.raises(Interrupted) as told, Signals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        saved = True
        signals.heed("after step 1 of 2")
    assert saved
    assert told.value.what == "terminated after step 1 of 2"
    assert told.value.code == ExitCode.TERMINATED


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_after_the_last_look_is_not_lost(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="after the last step") as told, Signals() as signals:
        signals.heed("too early")
        signal.raise_signal(number)
    assert told.value.code == code
    assert signal.getsignal(number) is before


def test_a_signal_does_not_hide_what_went_wrong() -> None:
    with pytest.raises(ZeroDivisionError), Signals():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signal.raise_signal(signal.SIGINT)
        assert signals.received is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_signals_are_left_to_the_program() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def enter() -> None:
        with Signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
