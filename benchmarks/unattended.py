"""What happens to a job that nobody watches: killed at random moments, and run every morning for a year.

    python benchmarks/unattended.py [--kills 200] [--mornings 250]

Each command is killed with SIGKILL at a random moment of its life, again and again, over one data folder, model and
journal. After every kill each file that is there must be whole, and after the last one the command must end well.
"""

import argparse
import contextlib
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure

from seqcli.core import checkpoint
from seqcli.errors import SeqcliError
from seqcli.forecasting import calendar, issue, journal, rates

SMALL = ["--quick", "--members", 1, "--epochs", 1, "--hidden", 4, "--threads", 1, "--baselines", "none"]
PAIR = ["--pair", "USD/JPY"]


def main() -> None:
    """Measures, and writes results/unattended.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--mornings", type=int, default=250)
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"SEQCLI_DATA_DIR": str(folder / "data"), "SEQCLI_CACHE_DIR": str(folder / "cache")}
        found = {"kills": kills(folder, options.kills), "year": year(folder, options.mornings)}
    measure.write("unattended", found)


def kills(folder: Path, count: int) -> dict[str, Any]:
    """Kills each of the three commands ``count`` times; says how often anything was not whole (never, we hope)."""
    model, kept = folder / "killed", folder / "killed.db"
    train = ["train-forecast", *PAIR, "--since", "2022-01-01", *SMALL, "--out", model, "--overwrite"]
    with serving(rates.embedded_path().read_bytes()) as url:
        update = ["rates", "--update", "--source-url", url]
        found = {"rates --update": killed(update, stored_is_whole, count)}
        found["train-forecast"] = killed(train, lambda: model_is_whole(model), count)
        forecast = ["forecast", model, *PAIR, "--journal", kept, "--force"]
        found["forecast --journal"] = killed(forecast, lambda: journal_is_whole(kept), count)
    return found


def killed(words: list[Any], whole: Callable[[], bool], count: int) -> dict[str, Any]:
    """Runs ``seqcli WORDS`` once for its length, then kills it at random moments of that length, and runs it again."""
    begun = time.perf_counter()
    measure.run([*measure.SEQCLI, *words])
    length = time.perf_counter() - begun
    moments, broken, late = random.Random(0), 0, 0
    for _ in range(count):
        process = subprocess.Popen(
            [*measure.SEQCLI, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(length * moments.random())
        late += process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        broken += not whole()
    measure.run([*measure.SEQCLI, *words])
    left = [path.name for path in Path(os.environ["SEQCLI_DATA_DIR"]).parent.rglob(".seqcli-new-*")]
    return {"kills": count, "too late to kill": late, "not whole": broken, "rerun": "ends well", "left behind": left}


def stored_is_whole() -> bool:
    """Whether the stored rates, if there are any, can be parsed."""
    path = rates.stored_path()
    with contextlib.suppress(SeqcliError):
        return not path.exists() or bool(len(rates.parse(path.read_bytes(), str(path), "stored").dates))
    return False


def model_is_whole(model: Path) -> bool:
    """Whether the model loads."""
    with contextlib.suppress(SeqcliError):
        return bool(checkpoint.peek(model).id and issue.load(model).tensors)
    return False


def journal_is_whole(path: Path) -> bool:
    """Whether the journal holds all five days of the one forecast, and of each that was replaced."""
    with contextlib.suppress(SeqcliError):
        held = journal.contents(path)
        return held.rows == 5 and held.superseded % 5 == 0
    return False


@contextlib.contextmanager
def serving(body: bytes) -> Iterator[str]:
    """A loopback server that always answers with ``body``; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client was killed
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/eurofxref-hist.zip"
    finally:
        server.shutdown()
        server.server_close()


def year(folder: Path, mornings: int) -> dict[str, Any]:
    """Replays the last mornings of the embedded history through the commands, and holds ``track`` to ``backtest``."""
    model, kept = folder / "fx", folder / "year.db"
    days = rates.load().dates
    origins = days[-mornings - 5 : -5]
    until = days[-mornings - 6]
    measure.run([*measure.SEQCLI, "train-forecast", *PAIR, "--until", until, *SMALL, "--holdout", 0, "--out", model])
    for origin in origins:
        morning = calendar.following("target", origin, 1)[0]
        forecast = ["forecast", model, *PAIR, "--as-of", origin, "--journal", kept, "--quiet"]
        measure.run([*measure.SEQCLI, *forecast], SEQCLI_NOW=f"{morning}T07:00:00+00:00")
    tracked = records("track", kept)
    window = ["--since", origins[0], "--until", origins[-1]]
    replayed = records("backtest", model, *PAIR, *window, "--baselines", "none", "--by-horizon")
    names = ("mae_ratio", "crps_ratio", "crps_ewma", "coverage80", "coverage95")
    ours = {str(r["h"]): r for r in replayed}
    theirs = {str(r["h"]): r for r in tracked if r["series"] == "all"}
    apart = [abs(ours[h][name] - theirs[h][name]) for h in ours for name in names]
    n = {h: (ours[h]["n"], theirs[h]["n"]) for h in ours}
    return {"mornings": len(origins), "rows": len(list(journal.read(kept))), "n": n, "largest difference": max(apart)}


def records(*words: Any) -> list[dict[str, Any]]:
    """The records that a command prints."""
    command = [*measure.SEQCLI, *map(str, words), "--format", "json"]
    return list(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


if __name__ == "__main__":
    sys.exit(main())
