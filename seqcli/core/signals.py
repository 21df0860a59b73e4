"""Ctrl-C and SIGTERM while something is trained, with PyTorch or without."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from seqcli.errors import Interrupted


class Signals:
    """Notices Ctrl-C and SIGTERM while it is entered, so that a step can end and be saved.

    ``received`` is the first signal's number. A second Ctrl-C raises KeyboardInterrupt at once. Outside the main
    thread, where Python allows no handlers, it notices nothing; a signal that the parent process had ignored
    (``nohup``, a job in the background) stays ignored. None is lost: one that nobody has heeded by the end of the work
    is heeded as it is left.
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
        if kind is None:
            self.heed("after the last step")

    def heed(self, when: str) -> None:
        """Raise Interrupted if a signal was noticed; its reader will look for what ``--resume`` finds.

        ``when`` says how far the work has come, such as ``after step 3 of 9``.
        """
        if self.received is not None:
            terminated = self.received == signal.SIGTERM
            what = f"{'terminated' if terminated else 'interrupted'} {when}"
            raise Interrupted("training", what, "--resume goes on from here", terminated=terminated)

    def _notice(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        # Only Ctrl-C is in a hurry the second time: SIGTERM often comes twice, to a process and to its group.
        self.received = self.received or number
