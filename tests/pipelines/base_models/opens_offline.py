"""Run as a program: a small base of a family as a folder and as an original file, opened without a network.

    python -m tests.pipelines.base_models.opens_offline FAMILY FOLDER [PREDICTION]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from adapters.host import Host
from pipelines.base_models import families, single_file
from pipelines.base_models.load import load_base
from tests.pipelines.base_models import small
from tests.pipelines.base_models.no_network import forbid_network


def compare(host: Host, made: Any) -> int:
    """How many tensors there are, all of them equal."""
    compared = 0
    for part, module in {**host.components, "vae": host.vae}.items():
        expected, loaded = getattr(made, part).state_dict(), module.state_dict()
        assert loaded.keys() == expected.keys(), part
        for name in expected:
            assert torch.equal(loaded[name], expected[name]), (part, name)
            compared += 1
    return compared


def main(family: Any, folder: Path, prediction: str) -> None:
    velocity = prediction == "v_prediction"
    source = single_file.VELOCITY if velocity and family == "sd2" else families.CONFIGS[family]
    configured = small.configurations(folder / "configured", family, source)
    made = small.pipeline(family, configured)
    if velocity:
        made.scheduler.register_to_config(prediction_type="v_prediction")
    made.save_pretrained(folder / "base")
    tensors = small.original(family, made) | ({"v_pred": torch.zeros(0)} if velocity else {})
    save_file(tensors, folder / "original.safetensors")
    families.CONFIGS[family] = single_file.VELOCITY = configured
    for name in ("base", "original.safetensors"):
        host = load_base(str(folder / name), offline=True)
        assert host.identity.family == family and host.identity.prediction == prediction
        assert host.scheduler.config.prediction_type == prediction
        print("compared", compare(host, made), "of", name)
        half = load_base(str(folder / name), offline=True, dtype=torch.float16)
        assert half.unet.dtype == torch.float16
        print("autoencoder of", name, "in", half.vae.dtype, half.to("cpu", torch.float16).vae.dtype)
        pads = [t.pad_token for t in (host.tokenizer, host.tokenizer_2) if t is not None]
        print("padded with", *pads)


if __name__ == "__main__":
    forbid_network()
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
