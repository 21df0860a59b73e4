"""Where the tensors live, how many threads work, and when bfloat16 pays. PyTorch is imported inside the functions."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.errors import MachineError, UsageError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bf16")

# Below this, casting costs a CPU more than the shorter numbers save.
_CPU_BF16_PARAMETERS = 1_500_000


def choose(name: str = "auto") -> torch.device:
    """Pick the device called ``name``: ``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Raises MachineError when a named device is not there, UsageError for an unknown name.
    """
    import torch

    if name not in DEVICES:
        raise UsageError("--device", f"no such device {name!r}", f"one of {', '.join(DEVICES)}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there[name]:
        what = f"no {name} device (PyTorch {torch.__version__} sees none)"
        raise MachineError("--device", what, "use --device cpu, or install a PyTorch build for your hardware")
    return torch.device(name)


def set_threads(count: int | None) -> int:
    """Let PyTorch compute with ``count`` threads (None: its own choice), and return how many it uses.

    Sums depend on the number of threads, so the same weights come back only with the same number.
    """
    import torch

    if count is not None:
        if count < 1:
            raise UsageError("--threads", f"{count} threads", "give 1 or more")
        torch.set_num_threads(count)
    return torch.get_num_threads()


def gains_by_bf16(device: torch.device, precision: str, parameters: int | None = None) -> bool:
    """Whether to train in bfloat16: when asked to, or with ``auto`` where the device is faster by it.

    A GPU is from Ampere on, a CPU only with its own instructions for it and a net of ``parameters`` large enough. None:
    whatever their number, where they are used often enough for casting them to pay.
    Raises MachineError when bf16 is asked for and the device has none.
    """
    import torch

    if precision not in PRECISIONS:
        raise UsageError("precision", f"no such precision {precision!r}", f"one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return False
    if device.type == "cuda":
        able: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        if precision == "bf16" and not able:
            raise MachineError("precision", f"{torch.cuda.get_device_name(device)} has no bf16", "use float32")
        return able
    if precision == "bf16":
        return True
    large = parameters is None or parameters >= _CPU_BF16_PARAMETERS
    return device.type == "cpu" and large and _cpu_has_bf16()


def autocast(device: torch.device, *, bf16: bool) -> AbstractContextManager[object]:
    """Give the context in which a training step runs: bfloat16 where that is safe, or no change at all."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


def _cpu_has_bf16() -> bool:
    if sys.platform != "linux":
        return False
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
