"""Switching between adapters: how long until the next one paints, and whether anything is left behind."""

from __future__ import annotations

import gc
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from adapters.lora import LoraAdapter
from adapters.lora.adapter import ATTENTION
from adapters.record import AdapterRecord
from adapters.studio_file import load, save
from pipelines.base_models.load import load_base
from pipelines.generator import Chosen, Generator, Request


@dataclass(frozen=True)
class Switching:
    """`milliseconds` are the median and the slowest twentieth of an adapter's way into the weights and out, warm.

    `grown_bytes` is how much more memory the process has after all switches than after the first hundred;
    `identical` whether the last picture is, bit for bit, one painted after a fresh load.
    """

    adapters: int
    switches: int
    milliseconds: float
    slowest: float
    grown_bytes: int
    identical: bool


def make_loras(folder: Path, count: int, rank: int, targets: Sequence[str] = ATTENTION) -> list[Path]:
    """LoRA files with random weights."""
    host = load_base("starter")
    files = []
    for n in range(count):
        torch.manual_seed(n)
        adapter = LoraAdapter.for_training(host, rank=rank, alpha=rank, targets=targets)
        adapter.inject(host, "made")
        for p in (p for group in adapter.groups().values() for p in group):
            torch.nn.init.normal_(p, std=0.05)
        record = AdapterRecord(kind=adapter.kind, method="lora", name=f"a{n}", base=host.identity, trigger="zok",
                               class_noun="bear", spec=adapter.spec)
        files.append(folder / f"a{n}.safetensors")
        save(files[-1], adapter, record)
        adapter.eject()
    return files


def _picture(generator: Generator, chosen: Chosen) -> bytes:
    with generator.using([chosen]):
        return generator.paint(Request(prompt="a photo of a zok bear", steps=2)).images[0].tobytes()


def switching(adapters: int = 50, switches: int = 1000, rank: int = 16) -> Switching:
    """Switch `switches` times between `adapters` LoRAs that were read once."""
    with tempfile.TemporaryDirectory() as scratch:
        files = make_loras(Path(scratch), adapters, rank)
        generator = Generator(load_base("starter"))
        chosen = [Chosen(*load(f)) for f in files]
        times, early = [], 0
        for n in range(switches):
            started = time.perf_counter()
            with generator.using([chosen[n % adapters]]), generator.merging():
                pass
            times.append(1000 * (time.perf_counter() - started))
            if n == min(100, switches // 2):
                early = _resident()
        gc.collect()
        grown = max(_resident() - early, 0)
        last = _picture(generator, chosen[(switches - 1) % adapters])
        fresh = _picture(Generator(load_base("starter")), Chosen(*load(files[(switches - 1) % adapters])))
    warm = sorted(times[min(adapters, switches // 2):])
    return Switching(adapters, switches, round(statistics.median(warm), 1), round(warm[int(0.95 * len(warm))], 1),
                     grown, last == fresh)


def _resident() -> int:
    """Bytes that the process holds now; where the system does not say, the most that it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()
