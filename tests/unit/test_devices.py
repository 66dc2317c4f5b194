from __future__ import annotations

import pytest
import torch

from lisa.devices import choose_device, choose_dtype, choose_placement, cpu_threads, limit_threads
from lisa.errors import DeviceError


def machine(
    monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False, bf16: bool = True
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")],
)
def test_auto_takes_the_fastest(monkeypatch, cuda: int, mps: bool, expected: str):
    machine(monkeypatch, cuda=cuda, mps=mps)
    assert choose_device() == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu", "not known"),
        ("", "not known"),
        ("meta", "not known"),
        ("cuda:x", "not known"),
        ("xpu", "not known"),
        ("cuda", "sees no CUDA GPU"),
        ("cuda:0", "sees no CUDA GPU"),
        ("mps", "no Apple GPU"),
    ],
)
def test_missing_device_gives_a_sentence(monkeypatch, name: str, words: str):
    machine(monkeypatch)
    with pytest.raises(DeviceError, match=words):
        choose_device(name)


def test_gpus_are_counted(monkeypatch):
    machine(monkeypatch, cuda=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match=r"2 CUDA GPU.*cuda:1"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("kind", "bf16", "expected"),
    [
        ("cpu", True, torch.float32),
        ("mps", True, torch.float16),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),
    ],
)
def test_auto_dtype(monkeypatch, kind: str, bf16: bool, expected: torch.dtype):
    machine(monkeypatch, cuda=1, mps=True, bf16=bf16)
    assert choose_dtype("auto", torch.device(kind)) == expected


def test_dtype_by_name_or_type():
    assert choose_dtype("bfloat16") == torch.bfloat16
    assert choose_dtype(torch.float16) == torch.float16
    for wrong in ("fp16", "int8", torch.int64):
        with pytest.raises(DeviceError, match="use auto, float32"):
            choose_dtype(wrong)


def test_segmenter_follows_unless_told():
    placement = choose_placement("cpu", "bfloat16")
    assert placement.segmenter_dtype == torch.bfloat16
    assert choose_placement("cpu", "bfloat16", "float32").segmenter_dtype == torch.float32


def test_threads(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert limit_threads() == 1 == torch.get_num_threads()
        monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
        assert limit_threads() == cpu_threads() >= 1
        with pytest.raises(DeviceError, match="1 or more"):
            limit_threads(0)
    finally:
        torch.set_num_threads(before)


def test_each_process_of_a_launcher_gets_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device() == torch.device("cuda:3")
    assert choose_device("cpu") == torch.device("cpu")
