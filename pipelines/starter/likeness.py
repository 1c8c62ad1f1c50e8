"""Likeness of pictures to a held-out individual, by the judges that were trained apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open

from pipelines.shipped import JUDGES
from pipelines.starter.judge import SceneJudge, load_embedder, prepare
from pipelines.starter.reading import read


@dataclass(frozen=True)
class Retrieval:
    """Per picture: the rank of the right individual in the gallery (0 is first), and its cosine."""

    ranks: list[int]
    cosines: list[float]

    def recall(self, k: int) -> float:
        """Share of pictures that have the right individual among the first `k`."""
        return sum(r < k for r in self.ranks) / len(self.ranks)


class Gallery:
    """Mean embeddings of every individual of the world, held-out ones and look-alikes included."""

    def __init__(self, folder: Path = JUDGES) -> None:
        self.embedder = load_embedder(folder)
        with safe_open(folder / "gallery.safetensors", "pt") as file:
            self.vectors = file.get_tensor("gallery").float()
            self.glyphs = file.metadata()["glyphs"].split(" ")

    def __len__(self) -> int:
        return len(self.glyphs)

    def retrieve(self, images: list[Image.Image], glyph: str) -> Retrieval:
        """Where `glyph` stands for each picture among all individuals."""
        with torch.no_grad():
            cosines = self.embedder(prepare(images)) @ self.vectors.T
        own = cosines[:, self.glyphs.index(glyph)]
        ranks = (cosines > own[:, None]).sum(-1)
        return Retrieval([int(r) for r in ranks], [float(c) for c in own])


def scenes_of(judge: SceneJudge, images: list[Image.Image]) -> list[str]:
    """The scene that the judge sees in each picture."""
    return [seen.scene for seen in read(judge, images)]
