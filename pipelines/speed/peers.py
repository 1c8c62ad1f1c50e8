"""Peers beside the studio: `python -m pipelines.speed.peers --scripts DIR [--base DIR] [--steps N] [--write]`.

DIR holds training scripts of diffusers' examples, which are no part of the project. Both sides train the same base on
the same pictures, with the same steps, rank, batch and precision, each in a process of its own, one after the other.
Measured are the wall time from the process's start to a file that can be used, and the peak of its resident memory
above that of a process that only imports the libraries (read from /proc: Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from adapters.files import write_text
from pipelines.base_models.locate import STARTER_PATH
from pipelines.references import list_folder
from pipelines.shipped import REPORT, REPOSITORY, SAMPLES
from pipelines.speed.measure import versions
from pipelines.speed.peak import peak_of
from pipelines.training import pick_precision

RANK, BATCH, NOUN = 8, 4, "bear"


@dataclass(frozen=True)
class Pair:
    """A script of a peer, with what it is told, and our method with the same; `precision` where not the usual one."""

    script: str
    method: str
    peer: tuple[str, ...]
    ours: tuple[str, ...]
    precision: str = ""


LORA = Pair(
    "train_dreambooth_lora.py", "lora",
    ("--instance_data_dir={images}", f"--instance_prompt=a photo of a zok {NOUN}", f"--rank={RANK}",
     "--learning_rate=1e-3", "--pre_compute_text_embeddings"),
    ("--set", f"rank={RANK}", "--set", f"alpha={RANK}", "--set", "layers=attention", "--set", "learning_rate=1e-3",
     "--trigger", "zok"))
WORD = Pair(
    "textual_inversion.py", "textual-inversion",
    ("--train_data_dir={images}", "--placeholder_token=<zok>", f"--initializer_token={NOUN}", "--learning_rate=1e-2",
     "--repeats=1000"),
    ("--set", "learning_rate=1e-2"),
    precision="no")  # in bf16 the peer's text encoder meets weights of two types on a CPU, and it ends
PAIRS = (LORA, WORD)


@dataclass(frozen=True)
class Cost:
    """`peak_bytes` is None, and `error` says why, where the process failed."""

    seconds: float
    peak_bytes: int | None
    error: str = ""


def run(command: Sequence[str], folder: Path) -> Cost:
    """One process: its wall time and the peak of its resident memory, its output in `folder`/log."""
    peak = 0
    with (folder / "log").open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=REPOSITORY,
                                   env={**os.environ, "HF_HUB_OFFLINE": "1"})
        while process.poll() is None:
            peak = max(peak, peak_of(process.pid) or 0)
            time.sleep(0.05)
        seconds = time.monotonic() - started
    if process.returncode:
        lines = (folder / "log").read_text("utf-8", "replace").strip().splitlines()
        said = [line for line in lines if "error" in line.lower()] or lines  # the last may be a progress bar
        return Cost(seconds, None, said[-1][:300] if said else f"exit code {process.returncode}")
    return Cost(round(seconds, 1), peak)


def peer_command(pair: Pair, script: Path, base: Path, size: int, images: Path, out: Path, steps: int) -> list[str]:
    """The peer's own options for what both are to do; no previews, no checkpoints on the way."""
    shared = [f"--pretrained_model_name_or_path={base}", f"--output_dir={out}", f"--resolution={size}", "--seed=0",
              f"--train_batch_size={BATCH}", f"--max_train_steps={steps}", f"--checkpointing_steps={10 * steps}",
              "--lr_scheduler=constant", "--lr_warmup_steps=0", f"--mixed_precision={_precision(pair)}"]
    return [sys.executable, str(script), *shared, *(option.format(images=images) for option in pair.peer)]


def our_command(pair: Pair, base: str, images: Path, home: Path, steps: int) -> list[str]:
    """The studio's command line, without previews and with the same options."""
    return [sys.executable, "-m", "app", "train", "--base", base, "--method", pair.method, "--name", "zok",
            "--class-noun", NOUN, "--images", str(images), "--steps", str(steps), "--batch", str(BATCH), "--seed", "0",
            "--preview-every", "0", "--checkpoint-every", str(10 * steps), "--precision",
            {"no": "fp32"}.get(_precision(pair), _precision(pair)), "--offline", "--home", str(home), *pair.ours]


def imports(script: Path | None) -> list[str]:
    """A process that imports what the training does and trains nothing."""
    if script:
        return [sys.executable, str(script), "--help"]
    seen = ", cv2" if find_spec("cv2") else ""  # looks for faces in the pictures, where it is installed
    return [sys.executable, "-c", f"import app.verbs.cli, pipelines.training, pipelines.base_models.load{seen}"]


def compare(pair: Pair, scripts: Path, base: str, steps: int) -> dict[str, object]:
    """Both, with what each needed above its own imports, and our share of the peer's."""
    script = scripts / pair.script
    found: dict[str, object] = {"peer": pair.script, "method": pair.method, "steps": steps, "rank": RANK,
                                "batch": BATCH, "precision": _precision(pair)}
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        images.mkdir()
        for picture in list_folder(SAMPLES / "koala"):
            (images / picture.name).write_bytes(picture.read_bytes())
        path = STARTER_PATH if base == "starter" else Path(base)
        size = 8 * int(json.loads((path / "unet" / "config.json").read_text("utf-8"))["sample_size"])
        told = {
            "theirs": (imports(script), peer_command(pair, script, path, size, images, Path(scratch) / "peer", steps)),
            "ours": (imports(None), our_command(pair, base, images, Path(scratch) / "home", steps)),
        }
        costs: dict[str, Cost] = {}
        for who, (idle, command) in told.items():
            before, cost = run(idle, Path(scratch)), run(command, Path(scratch))
            if cost.peak_bytes is not None and before.peak_bytes is not None:
                cost = Cost(cost.seconds, cost.peak_bytes - before.peak_bytes)
            costs[who] = cost
            found[who] = asdict(cost)
    theirs, ours = costs["theirs"], costs["ours"]
    if theirs.peak_bytes and ours.peak_bytes:
        found["time"] = round(ours.seconds / theirs.seconds, 3)
        found["memory"] = round(ours.peak_bytes / theirs.peak_bytes, 3)
    return found


def _precision(pair: Pair) -> str:
    found = pair.precision or str(pick_precision("auto"))
    return {"fp32": "no"}.get(found, found)


def main() -> int:
    """Print a line a pair; exit code 1 when one could not be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=Path, required=True, help="folder with " + ", ".join(p.script for p in PAIRS))
    parser.add_argument("--base", default="starter", help="'starter' or a diffusers folder")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="keep the figures for the report")
    options = parser.parse_args()
    rows = []
    for pair in PAIRS:
        rows.append(row := compare(pair, options.scripts.resolve(), options.base, options.steps))
        print(json.dumps(row), flush=True)
    if options.write:
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
        told = {"machine": machine, "versions": versions(), "base": options.base, "rows": rows}
        write_text(REPORT / "peers.json", json.dumps(told, indent=1) + "\n")
    return 0 if all("time" in r for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
