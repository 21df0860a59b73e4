"""Whole processes timed by the operating system, and a results file that says on what they were measured."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SEQCLI = [sys.executable, "-m", "seqcli"]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the wall, seconds of the processor, peak memory in MB."""

    wall: float
    cpu: float
    peak_mb: float


def run(command: list[Any], check: bool = True, **environment: str) -> Run:
    """Runs a command with its output thrown away, and says what it cost."""
    words = list(map(str, command))
    begun = time.perf_counter()
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | environment
    ) as process:
        said = process.stderr.read() if process.stderr else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if check and process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}:\n{said.decode(errors='replace')[-2000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def paired(a: list[Any], b: list[Any], times: int = 5, **environment: str) -> dict[str, float]:
    """``a`` and ``b`` in turn, after a warm-up of each: the medians, and the median of the pairs' ratios."""
    run(a, **environment), run(b, **environment)
    pairs = [(run(a, **environment), run(b, **environment)) for _ in range(times)]
    return {
        "wall_s": round(statistics.median(x.wall for x, _ in pairs), 3),
        "other_wall_s": round(statistics.median(y.wall for _, y in pairs), 3),
        "wall_ratio": round(statistics.median(x.wall / y.wall for x, y in pairs), 3),
        "cpu_ratio": round(statistics.median(x.cpu / y.cpu for x, y in pairs), 3),
        "peak_mb": round(max(x.peak_mb for x, _ in pairs), 1),
        "runs": times,
    }


def write(name: str, results: dict[str, Any]) -> None:
    """Writes ``results/NAME.json``, with the machine, the versions and the date."""
    import numpy
    import torch

    import seqcli

    about = {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            "seqcli": seqcli.__version__,
            "numpy": numpy.__version__,
            "torch": torch.__version__,
        },
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"about": about, **results}, ensure_ascii=False, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
