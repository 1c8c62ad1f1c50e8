"""Run as a program: an original checkpoint of full size, opened without a network, compared.

    python -m tests.pipelines.base_models.single_file FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import save_file

from pipelines.base_models.load import load_base
from pipelines.base_models.skeleton import skeleton
from pipelines.shipped import ASSETS
from tests.pipelines.base_models import ldm_names
from tests.pipelines.base_models.no_network import forbid_network


def shapes() -> dict[str, dict[str, torch.Size]]:
    """Of every weight, by component and diffusers name."""
    with torch.device("meta"):
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(ASSETS / "sd1" / "vae"))
    parts = {**skeleton("sd1").components, "vae": vae}
    return {part: {n: t.shape for n, t in module.state_dict().items()} for part, module in parts.items()}


def write(path: Path) -> None:
    """fp16 chance under the original names, and what else such files hold."""
    chance = 0.02 * torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).half()
    tensors: dict[str, torch.Tensor] = {
        "alphas_cumprod": torch.linspace(1, 0.005, 1000),
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    for part, names in shapes().items():
        for number, (name, shape) in enumerate(names.items()):
            if "position_ids" in name:
                continue
            values = chance.roll(997 * number).repeat(-(-shape.numel() // len(chance)))[:shape.numel()]
            if part == "vae" and ".attentions." in name and len(shape) == 2:
                shape = (*shape, 1, 1)
            tensors[getattr(ldm_names, part)(name)] = values.reshape(shape).clone()
    save_file(tensors, path)


def compare(path: Path) -> None:
    host = load_base(str(path))
    assert (host.identity.family, host.identity.name) == ("sd1", path.stem)
    assert (host.resolution, host.downsampling) == (512, 8)
    compared = 0
    with safe_open(path, "pt") as file:
        for part, names in shapes().items():
            loaded = (host.vae if part == "vae" else host.components[part]).state_dict()
            assert set(loaded) == set(names)
            for name in names:
                if "position_ids" in name:
                    continue
                original = file.get_tensor(getattr(ldm_names, part)(name))
                assert torch.equal(loaded[name], original.float().reshape(loaded[name].shape)), name
                compared += 1
    ids = host.tokenizer("a photo of a cat", padding="max_length", return_tensors="pt").input_ids
    assert ids[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407] and ids.shape == (1, 77)
    with torch.no_grad():
        states = host.text_encoder(ids)[0]
        out = host.unet(torch.randn(1, 4, 8, 8), torch.tensor([500]), states).sample
    assert out.shape == (1, 4, 8, 8) and torch.isfinite(out).all() and out.std() > 0
    print("compared", compared)


if __name__ == "__main__":
    checkpoint = Path(sys.argv[1]) / "original.safetensors"
    forbid_network()
    write(checkpoint)
    try:
        compare(checkpoint)
    finally:
        checkpoint.unlink()
