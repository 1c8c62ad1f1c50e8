"""Trainings by the command line: of real photos, resumed, by two processes. Real training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from adapters.record import read_record
from adapters.studio_file import load
from pipelines.base_models.load import load_base
from pipelines.dataset import square
from pipelines.encode import encode_images
from pipelines.recipe import Batch
from pipelines.references import list_folder, open_image
from pipelines.shipped import REPOSITORY, SAMPLES
from pipelines.wording import with_article
from tests.learning.tools import app

PHOTOS = REPOSITORY.parent / "shared" / "data" / "dreambooth" / "robot_toy"

pytestmark = pytest.mark.slow


def _heldout_loss(photos: list[Path], adapter: Path | None, phrase: str) -> float:
    """Denoising loss on photos, at 64 fixed timesteps and noises a photo."""
    host = load_base("starter")
    latents = encode_images(host, [square(open_image(p), host.resolution) for p in photos])
    text = host.text.encode_prompts([f"a photo of {with_article(phrase)}"])
    if adapter:
        load(adapter)[0].inject(host, "adapter_0")
    alphas = host.scheduler.alphas_cumprod
    generator = torch.Generator().manual_seed(5)
    losses = []
    for latent in latents:
        t = torch.linspace(10, 990, 64).long()
        noise = torch.randn(64, *latent.shape, generator=generator)
        a = alphas[t].view(-1, 1, 1, 1)
        batch = Batch(latent.expand(64, -1, -1, -1), text[[0] * 64])
        with torch.no_grad():
            said = host.unet(a.sqrt() * batch.latents + (1 - a).sqrt() * noise, t, batch.text.states).sample
        losses.append((said - (a.sqrt() * noise - (1 - a).sqrt() * batch.latents)).square().mean().item())
    return sum(losses) / len(losses)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="skipped: shared data not here")
def test_real_photos_lower_the_loss_on_photos_kept_out(tmp_path: Path) -> None:
    photos = list_folder(PHOTOS)
    kept_out, learned = photos[-2:], tmp_path / "photos"
    learned.mkdir()
    for photo in photos[:-2]:
        (learned / photo.name).write_bytes(photo.read_bytes())
    answer = app("train", "--name", "robot", "--class-noun", "toy", "--images", str(learned), "--steps", "120",
                 home=tmp_path / "home")
    adapter = Path(str(answer["adapter"]))
    phrase = read_record(adapter).phrase
    before, after = _heldout_loss(kept_out, None, phrase), _heldout_loss(kept_out, adapter, phrase)
    print(f"denoising loss on photos kept out: {before:.4f} without, {after:.4f} with the adapter")
    assert after <= 0.9 * before


def test_stopped_and_resumed_ends_as_uninterrupted(tmp_path: Path) -> None:
    """CPU, fp32, same seed: bit for bit."""
    common = ["--class-noun", "bear", "--images", str(SAMPLES / "koala"), "--steps", "10", "--batch", "1",
              "--preview-every", "0", "--checkpoint-every", "4", "--precision", "fp32", "--seed", "9"]
    whole = app("train", "--name", "whole", *common, home=tmp_path / "a")
    interrupted = tmp_path / "b"
    script = (
        "import sys; import app.verbs.cli as cli\n"
        "from pipelines.trainer import Trainer\n"
        "run = Trainer._optimize\n"
        "def dies(self, *a):\n"
        "    if self.step == 6: import os; os._exit(9)\n"
        "    return run(self, *a)\n"
        "Trainer._optimize = dies\n"
        "cli.main(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", script, "train", "--name", "whole", *common, "--home",
                           str(interrupted)], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 9
    resumed = app("train", "--name", "whole", *common, "--resume", home=interrupted)
    one = load(Path(str(whole["adapter"])))[0].weights().modules  # type: ignore[attr-defined]
    two = load(Path(str(resumed["adapter"])))[0].weights().modules  # type: ignore[attr-defined]
    assert one.keys() == two.keys()
    assert all(torch.equal(one[k].down, two[k].down) and torch.equal(one[k].up, two[k].up) for k in one)
    assert any(two[k].up.abs().max() > 0 for k in two)


def test_two_processes_train_one_adapter(tmp_path: Path) -> None:
    """accelerate launch on the CPU: one run, one adapter, one line of JSON, every warning once."""
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
         "--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1",
         "-m", "app", "train", "--name", "koala", "--class-noun", "beagle", "--images", str(SAMPLES / "koala"),
         "--steps", "3", "--batch", "1", "--preview-every", "0", "--precision", "fp32", "--json",
         "--home", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1 and json.loads(lines[0])["steps"] == 3
    assert done.stderr.count("never saw the word 'beagle'") == 1  # by the main process, beside its stages
    assert [p.name for p in (tmp_path / "adapters").glob("*.safetensors")] == ["koala.safetensors"]
    assert len(list((tmp_path / "runs").iterdir())) == 1
