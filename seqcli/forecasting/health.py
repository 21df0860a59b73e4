"""What ``seqcli doctor`` looks at in this room: would the morning's forecast go through?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seqcli.core import clock
from seqcli.core.health import FAIL, OK, WARN, Check, of_error
from seqcli.errors import SeqcliError
from seqcli.forecasting import calendar, issue, journal, rates

_OLD = 4  # business days; the ECB publishes on each of them


def rates_age(freshness: issue.Freshness) -> Iterator[Check]:
    """How old the newest rates will be tomorrow morning; older than ``--max-age`` is a failure.

    What the ECB publishes until then does not count: the download may be what fails.
    """
    try:
        history = rates.load()
        most = freshness.days
    except SeqcliError as error:
        yield of_error("rates", error)
        return
    last = history.dates[-1]
    age = calendar.count("target", last, np.datetime64(clock.today()) + 1)
    detail = f"until {last}, tomorrow {age} business days old; {history.origin}"
    if most is not None and age > most and not freshness.allow_stale:
        yield Check("rates", FAIL, f"--max-age allows {most}; {detail}", "seqcli rates --update")
    else:
        yield Check("rates", WARN if age > _OLD else OK, detail, "seqcli rates --update" if age > _OLD else None)


def model(folder: Path) -> Iterator[Check]:
    """Whether the model can be read."""
    try:
        loaded = issue.load(folder)
    except SeqcliError as error:
        yield of_error("model", error)
        return
    known = len(loaded.manifest.data["series"])
    corrected = f", calibration {loaded.calibration.id}" if loaded.calibration else ""
    yield Check("model", OK, f"{loaded.manifest.id}, {known} series, learnt until {loaded.data_until}{corrected}")


def record(path: Path) -> Iterator[Check]:
    """Whether the journal can be read, and when it was last written to."""
    if not path.exists():
        yield Check("journal", WARN, f"{path} is not there yet", f"seqcli forecast MODEL --journal {path}")
        return
    try:
        held = journal.contents(path)
    except SeqcliError as error:
        yield of_error("journal", error)
        return
    yield Check("journal", OK, f"{held.rows} rows, the last of {held.last_origin}, issued {held.last_issued}")
