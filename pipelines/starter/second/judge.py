"""The second edition's scene judge, which also knows styles and what lies above and below.

The embedder, and how judges are kept, are the first edition's.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from adapters.errors import StudioError
from pipelines.starter import judge
from pipelines.starter.judge import ASSETS, Trunk, labels

REGIONS = ("left", "right", "top", "bottom")


class SceneJudge(judge.SceneJudge):
    """Object classes and colours in each half of the picture (REGIONS), the scene and the style."""

    def __init__(self, nouns: list[str], colours: list[str], scenes: list[str], styles: list[str]) -> None:
        super().__init__(nouns, colours, scenes)
        self.styles = styles
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


def load_scene_judge(folder: Path = ASSETS / "judges") -> SceneJudge:
    """The classifier, in evaluation mode. Raises StudioError when it is of the first edition."""
    path = folder / "scene_judge.safetensors"
    known = labels(path)
    if "styles" not in known:
        raise StudioError("The scene judge should know styles, but this one is of the starter's first edition; "
                          "train the second with 'python -m pipelines.starter.second.train'.")
    model = SceneJudge(known["nouns"], known["colours"], known["scenes"], known["styles"])  # type: ignore[arg-type]
    model.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return model.eval()
