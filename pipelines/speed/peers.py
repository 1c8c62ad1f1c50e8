"""Peers beside the studio: `python -m pipelines.speed.peers --scripts DIR [--base DIR] [--steps N] [--batch N]
[--write]`.

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
from pipelines.precision import pick_precision
from pipelines.references import list_folder
from pipelines.shipped import REPORT, REPOSITORY, SAMPLES
from pipelines.speed.measure import versions
from pipelines.speed.peak import peak_of

RANK, NOUN = 8, "bear"


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


@dataclass(frozen=True)
class Load:
    """What both are to do: `base` is 'starter' or a diffusers folder."""

    base: str = "starter"
    steps: int = 100
    batch: int = 4

    @property
    def path(self) -> Path:
        """The base's folder."""
        return STARTER_PATH if self.base == "starter" else Path(self.base).resolve()

    @property
    def name(self) -> str:
        """The base as the report calls it."""
        return self.path.name if self.base != "starter" else self.base


def peer_command(pair: Pair, script: Path, load: Load, images: Path, out: Path) -> list[str]:
    """The peer's own options for what both are to do; no previews, no checkpoints on the way."""
    side = 8 * int(json.loads((load.path / "unet" / "config.json").read_text("utf-8"))["sample_size"])
    shared = [f"--pretrained_model_name_or_path={load.path}", f"--output_dir={out}", f"--resolution={side}", "--seed=0",
              f"--train_batch_size={load.batch}", f"--max_train_steps={load.steps}",
              f"--checkpointing_steps={10 * load.steps}", "--lr_scheduler=constant", "--lr_warmup_steps=0",
              f"--mixed_precision={_precision(pair)}"]
    return [sys.executable, str(script), *shared, *(option.format(images=images) for option in pair.peer)]


def our_command(pair: Pair, load: Load, images: Path, home: Path) -> list[str]:
    """The studio's command line, without previews and with the same options."""
    base = load.base if load.base == "starter" else str(load.path)
    return [sys.executable, "-m", "app", "train", "--base", base, "--method", pair.method, "--name", "zok",
            "--class-noun", NOUN, "--images", str(images), "--steps", str(load.steps), "--batch", str(load.batch),
            "--seed", "0", "--preview-every", "0", "--checkpoint-every", str(10 * load.steps), "--precision",
            {"no": "fp32"}.get(_precision(pair), _precision(pair)), "--offline", "--home", str(home), *pair.ours]


def imports(script: Path | None) -> list[str]:
    """A process that imports what the training does and trains nothing."""
    if script:
        return [sys.executable, str(script), "--help"]
    seen = ", cv2" if find_spec("cv2") else ""  # looks for faces in the pictures, where it is installed
    return [sys.executable, "-c", f"import app.verbs.cli, pipelines.training, pipelines.base_models.load{seen}"]


def compare(pair: Pair, scripts: Path, load: Load) -> dict[str, object]:
    """Both, with what each needed above its own imports, and our share of the peer's."""
    script = scripts / pair.script
    found: dict[str, object] = {"base": load.name, "peer": pair.script, "method": pair.method, "steps": load.steps,
                                "rank": RANK, "batch": load.batch, "precision": _precision(pair)}
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        images.mkdir()
        for picture in list_folder(SAMPLES / "koala"):
            (images / picture.name).write_bytes(picture.read_bytes())
        told = {
            "theirs": (imports(script), peer_command(pair, script, load, images, Path(scratch) / "peer")),
            "ours": (imports(None), our_command(pair, load, images, Path(scratch) / "home")),
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


def keep(rows: Sequence[dict[str, object]], base: str, file: Path) -> None:
    """Rows of one base, in the place of its older ones; those of another machine or other versions go."""
    told = {"machine": f"{platform.machine()}, {torch.get_num_threads()} threads", "versions": versions()}
    kept = json.loads(file.read_text("utf-8")) if file.exists() else {"rows": []}
    others = [r for r in kept["rows"] if r["base"] != base] if {k: kept.get(k) for k in told} == told else []
    write_text(file, json.dumps({**told, "rows": [*others, *rows]}, indent=1) + "\n")


def main() -> int:
    """Print a line a pair; exit code 1 when one could not be compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=Path, required=True, help="folder with " + ", ".join(p.script for p in PAIRS))
    parser.add_argument("--base", default="starter", help="'starter' or a diffusers folder")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--write", action="store_true", help="keep the figures, beside those of other bases")
    options = parser.parse_args()
    load, rows = Load(options.base, options.steps, options.batch), []
    for pair in PAIRS:
        rows.append(row := compare(pair, options.scripts.resolve(), load))
        print(json.dumps(row), flush=True)
    if options.write:
        keep(rows, load.name, REPORT / "peers.json")
    return 0 if all("time" in r for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
