from __future__ import annotations

import subprocess
import sys

import pytest
import torch  # noqa: TID253 - these tests ask it what there is

from seqcli.core import device
from seqcli.errors import MachineError, UsageError


def test_auto_takes_the_best_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=cuda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda there=mps: there)
        assert device.choose().type == expected
        assert device.choose("cpu").type == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(MachineError, match=f"no {name} device") as caught:
        device.choose(name)
    assert "--device cpu" in (caught.value.hint or "")


def test_unknown_names_and_thread_counts_are_refused() -> None:
    for call in (
        lambda: device.choose("tpu"),
        lambda: device.set_threads(0),
        lambda: device.gains_by_bf16(torch.device("cpu"), "fp8", 1),
    ):
        with pytest.raises(UsageError):
            call()


def test_the_number_of_threads_is_set_and_told() -> None:
    before = device.set_threads(None)
    try:
        assert device.set_threads(2) == 2
        assert device.set_threads(None) == 2
    finally:
        device.set_threads(before)


def test_a_cpu_uses_bf16_only_when_asked_or_for_a_large_net_with_the_instructions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu = torch.device("cpu")
    for has in (True, False):
        monkeypatch.setattr(device, "_cpu_has_bf16", lambda has=has: has)
        assert device.gains_by_bf16(cpu, "auto", 10_000) is False
        assert device.gains_by_bf16(cpu, "auto", 10**8) is has
        assert device.gains_by_bf16(cpu, "auto") is has
        assert device.gains_by_bf16(cpu, "bf16", 10_000) is True
        assert device.gains_by_bf16(cpu, "float32", 10**8) is False


def test_a_gpu_uses_bf16_where_it_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old card")
    for able in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, able=able: able)
        assert device.gains_by_bf16(gpu, "auto", 10) is able
    with pytest.raises(MachineError, match="an old card has no bf16"):
        device.gains_by_bf16(gpu, "bf16", 10)


def test_autocast_computes_in_bf16_only_when_told() -> None:
    a = torch.ones(2, 2)
    with device.autocast(torch.device("cpu"), bf16=True):
        assert (a @ a).dtype == torch.bfloat16
    with device.autocast(torch.device("cpu"), bf16=False):
        assert (a @ a).dtype == torch.float32


def test_the_module_itself_imports_no_torch() -> None:
    script = "import sys, seqcli.core.device; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
