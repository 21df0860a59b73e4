"""Ctrl-C and SIGTERM while something is trained, with PyTorch or without."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Signals:
    """Notices Ctrl-C and SIGTERM while it is entered, so that a step can end and be saved.

    ``received`` is the first signal's number. A second Ctrl-C raises KeyboardInterrupt at once. Outside the main
    thread, where Python allows no handlers, it notices nothing; a signal that the parent process had ignored
    (``nohup``, a job in the background) stays ignored.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._notice)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _notice(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        # Only Ctrl-C is in a hurry the second time: SIGTERM often comes twice, to a process and to its group.
        self.received = self.received or number
