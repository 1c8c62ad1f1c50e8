"""Two small networks trained apart from the base, with which its figures and likeness are taken.

`SceneJudge` says which object classes, colours, scene and style a picture shows. `Embedder` maps a picture
to a unit vector in which pictures of the same individual are near: it learns to tell hundreds of
glyphs apart, never sees a held-out one, and is used for retrieval. Neither shares data order, seed
or architecture with the base.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from pipelines.shipped import JUDGES

JUDGE_SIZE = 96
REGIONS = ("left", "right", "top", "bottom")


class _Block(nn.Module):
    """Pre-norm residual block of two 3x3 convolutions (dense ones are the fast ones on a CPU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.second(F.silu(self.first(self.norm(x))))
        return x + change


class Trunk(nn.Sequential):
    """[N, 3, 96, 96] in -1..1 to [N, 128, 6, 6]."""

    width = 128

    def __init__(self, first: int, second: int) -> None:
        super().__init__(
            nn.Conv2d(3, first, 4, stride=4), _Block(first), nn.Conv2d(first, second, 2, stride=2),
            _Block(second), _Block(second), nn.Conv2d(second, self.width, 2, stride=2),
            _Block(self.width), _Block(self.width), nn.GroupNorm(1, self.width),
        )


class SceneJudge(nn.Module):
    """Object classes and colours in each half of the picture (REGIONS), the scene and the style."""

    def __init__(self, nouns: list[str], colours: list[str], scenes: list[str], styles: list[str]) -> None:
        super().__init__()
        self.nouns, self.colours, self.scenes, self.styles = nouns, colours, scenes, styles
        self.trunk = Trunk(32, 88)
        self.objects = nn.Conv2d(Trunk.width, len(nouns), 1)
        self.paint = nn.Conv2d(Trunk.width, len(colours), 1)
        self.place = nn.Linear(Trunk.width, len(scenes))
        self.style = nn.Linear(Trunk.width, len(styles))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits: `objects` and `paint` [N, labels, 4] (REGIONS), `place` [N, scenes], `style` [N, styles]."""
        h = self.trunk(x)
        mean = h.mean((2, 3))
        return {"objects": _halves(self.objects(h)), "paint": _halves(self.paint(h)),
                "place": self.place(mean), "style": self.style(mean)}


def _halves(maps: torch.Tensor) -> torch.Tensor:
    """[N, labels, 6, 6] to [N, labels, 4]: softly the largest in each of REGIONS."""
    parts = (maps[..., :3], maps[..., 3:], maps[..., :3, :], maps[..., 3:, :])
    return torch.stack([p.flatten(2).logsumexp(-1) for p in parts], -1)


class Embedder(nn.Module):
    """Unit vectors [N, 128]; cosine is likeness of the individual."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(40, 80)
        self.attend = nn.Conv2d(Trunk.width, 1, 1)
        self.head = nn.Linear(Trunk.width, 128)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.trunk(x)
        weight = self.attend(h).flatten(2).softmax(-1)
        return F.normalize(self.head((h.flatten(2) * weight).sum(-1)), dim=-1)


def prepare(images: list[Image.Image]) -> torch.Tensor:
    """Pictures of any size as the judges' input [N, 3, 96, 96]."""
    small = [np.asarray(i.convert("RGB").resize((JUDGE_SIZE, JUDGE_SIZE), Image.Resampling.BOX))
             for i in images]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 127.5 - 1


def save(model: nn.Module, path: Path, labels: dict[str, object]) -> None:
    """Write fp16 weights with labels and measured accuracy in the header."""
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, path,
              {"labels": json.dumps(labels)})


def labels(path: Path) -> dict[str, object]:
    """The JSON that `save` put into the header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()["labels"]))


def load_scene_judge(folder: Path = JUDGES) -> SceneJudge:
    """The shipped classifier, in evaluation mode."""
    path = folder / "scene_judge.safetensors"
    known = labels(path)
    model = SceneJudge(known["nouns"], known["colours"], known["scenes"], known["styles"])  # type: ignore[arg-type]
    model.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return model.eval()


def load_embedder(folder: Path = JUDGES) -> Embedder:
    """The shipped embedder, in evaluation mode."""
    model = Embedder()
    model.load_state_dict({k: v.float() for k, v in load_file(folder / "embedder.safetensors").items()})
    return model.eval()
