"""Training of the judges: their own seeds, their own scenes, pictures worn as a base wears them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from pipelines.starter.config import StarterConfig
from pipelines.starter.drawing import Order, chunks
from pipelines.starter.glyphs import COLOURS, Catalogue, Individual, all_glyphs
from pipelines.starter.judge import REGIONS, Embedder, SceneJudge, prepare, save
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.reading import Wanted, rates, read
from pipelines.starter.scenes import SCENES
from pipelines.starter.stage import Stage, device, one_cycle
from pipelines.starter.styles import DRAWN, STYLES
from pipelines.starter.world import Spec, draw, place_one

_SEED_APART = 7_000
DRAWN_AT = 128  # pixels, before the judges' own size
UNSEEN = 1000
GALLERY_VIEWS = 6
# Those of the sample sets and of the proof: the gallery is held against pictures in these.
GALLERY_SCENES = ("beach", "snow", "city", "forest", "desert", "night", "sea", "meadow", "room", "mountains", "pink",
                  "white")


def wear(x: torch.Tensor) -> torch.Tensor:
    """Blur, colour shift, noise and small shifts on [N, 3, H, W]: what a generated picture suffers."""
    n = len(x)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, blurred, torch.rand(n, 1, 1, 1) * 1.2)
    x = x * (1 + 0.12 * torch.randn(n, 3, 1, 1)) + 0.05 * torch.randn(n, 3, 1, 1)
    x = x + torch.rand(n, 1, 1, 1) * 0.12 * F.interpolate(torch.randn(n, 3, 24, 24), x.shape[-2:])
    dx, dy = torch.randint(-4, 5, (2,)).tolist()
    return x.roll((dy, dx), (2, 3)).clamp(-1, 1)


@dataclass(frozen=True)
class Targets:
    """What is right of N scenes: `objects` and `paint` [N, labels, 4] (REGIONS), `place` and `style` [N]."""

    objects: torch.Tensor
    paint: torch.Tensor
    place: torch.Tensor
    style: torch.Tensor

    def __getitem__(self, index: torch.Tensor) -> Targets:
        return Targets(self.objects[index], self.paint[index], self.place[index], self.style[index])

    def to(self, where: torch.device) -> Targets:
        """The same on a device."""
        return Targets(self.objects.to(where), self.paint.to(where), self.place.to(where), self.style.to(where))


def regions(spec: Spec, number: int) -> list[int]:
    """The numbers in REGIONS of the halves that object `number` reaches."""
    if len(spec.placements) == 1:
        return [0, 1, 2, 3]
    if spec.relation == "side":
        return [number, 2, 3]
    return [0, 1, 2 + number]


def targets(specs: list[Spec], judge: SceneJudge) -> Targets:
    """What `judge` should say of scenes with one object or two."""
    objects = torch.zeros(len(specs), len(judge.nouns), len(REGIONS))
    paint = torch.zeros(len(specs), len(judge.colours), len(REGIONS))
    for n, spec in enumerate(specs):
        for k, p in enumerate(spec.placements):
            objects[n, judge.nouns.index(p.individual.noun), regions(spec, k)] = 1
            if p.colour:
                paint[n, judge.colours.index(p.colour), regions(spec, k)] = 1
    return Targets(objects, paint, torch.tensor([judge.scenes.index(s.scene) for s in specs]),
                   torch.tensor([judge.styles.index(s.style) for s in specs]))


def _seen(order: Order, count: int) -> tuple[torch.Tensor, list[Spec]]:
    """Judges' input as bytes [N, 3, 96, 96], and what it shows."""
    inputs, told = [], []
    for pictures, specs in chunks(order, count):
        inputs.append((prepare([Image.fromarray(p) for p in pictures]) * 127).to(torch.int8))
        told += specs
    return torch.cat(inputs), told


def train_scene_judge(config: StarterConfig, work: Path, out: Path) -> None:
    """Train and save the classifier; its accuracy on unseen scenes stands in its header."""
    where = device()
    torch.manual_seed(config.seed + _SEED_APART)
    model = SceneJudge(Catalogue().nouns, list(COLOURS), list(SCENES), list(STYLES)).to(where)
    images, specs = _seen(Order(config.seed + _SEED_APART, DRAWN_AT), config.judge.scenes)
    right = targets(specs, model)
    optimizer = MixedOptimizer(model, 0.01, config.judge.learning_rate)
    stage = Stage("scene_judge", work, {"model": model, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, config.judge.steps, warmup=100))
        i = torch.randint(len(images), (config.judge.batch,))
        x, want = wear(images[i].float() / 127).to(where), right[i].to(where)
        with torch.autocast(where.type, torch.bfloat16):
            said = {k: v.float() for k, v in model(x).items()}
        loss = (F.binary_cross_entropy_with_logits(said["objects"], want.objects, reduction="sum")
                + F.binary_cross_entropy_with_logits(said["paint"], want.paint, reduction="sum")) / len(i) / 2
        loss = loss + F.cross_entropy(said["place"], want.place) + F.cross_entropy(said["style"], want.style)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    stage.run(config.judge.steps, step)
    model.cpu().eval()
    accuracy = judge_accuracy(model, *_seen(Order(config.seed + 2 * _SEED_APART, DRAWN_AT), UNSEEN))
    print(f"scene judge on {UNSEEN} unseen scenes:", accuracy)
    save(model, out / "scene_judge.safetensors",
         {"nouns": model.nouns, "colours": model.colours, "scenes": model.scenes, "styles": model.styles,
          "accuracy": accuracy})


def judge_accuracy(model: SceneJudge, images: torch.Tensor, specs: list[Spec]) -> dict[str, float]:
    """How often the judge is right on drawn scenes, by the readings that `reading` takes figures with."""
    pictures = [Image.fromarray(((i.float() / 127 + 1) * 127.5).byte().permute(1, 2, 0).numpy()) for i in images]
    said = read(model, pictures)
    return {k: round(v, 4) for k, v in rates([Wanted.of(s) for s in specs], said).items() if v is not None}


def train_embedder(config: StarterConfig, work: Path, out: Path) -> None:
    """Train the likeness embedding on every glyph of the font but the held-out ones."""
    torch.manual_seed(config.seed + 3 * _SEED_APART)
    rng = np.random.default_rng(config.seed + 3 * _SEED_APART)
    catalogue = Catalogue()
    hidden = {i.glyph.rstrip("\ufe0f") for i in catalogue.held_out()}
    known = {i.glyph for i in catalogue.trainable()}
    glyphs = [g for g in sorted(set(all_glyphs()) | known) if g.rstrip("\ufe0f") not in hidden]
    who = [Individual(g, "thing", "thing", False, "thing") for g in glyphs]
    views = config.embedder.views
    images = torch.cat([(prepare([_any_portrait(rng, i)]) * 127).to(torch.int8)
                        for i in who for _ in range(views)])
    print(f"embedder: {len(glyphs)} glyphs")
    where = device()
    model = Embedder()
    centres = torch.nn.Parameter(F.normalize(torch.randn(len(glyphs), 128), dim=-1).to(where))
    model.to(where).register_parameter("centres", centres)
    optimizer = MixedOptimizer(model, 0.01, config.embedder.learning_rate)
    stage = Stage("embedder", work, {"model": model, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, config.embedder.steps, warmup=100))
        i = torch.randint(len(images), (config.embedder.batch,))
        label = (i // views).to(where)
        with torch.autocast(where.type, torch.bfloat16):
            z = model(wear(images[i].float() / 127).to(where))
        cosine = F.normalize(z.float(), dim=-1) @ F.normalize(centres, dim=-1).T
        # CosFace (Wang et al., 2018): the right glyph must win by a margin.
        cosine = cosine - 0.2 * F.one_hot(label, len(glyphs))
        loss = F.cross_entropy(20 * cosine, label)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item(), "top1": (cosine.argmax(-1) == label).float().mean().item()}

    stage.run(config.embedder.steps, step)
    del model.centres
    model.cpu().eval()
    accuracy = build_gallery(model, catalogue, out, rng)
    print("embedder on held-out individuals:", accuracy)
    save(model, out / "embedder.safetensors", {"accuracy": accuracy})


def _portrait(rng: np.random.Generator, who: Individual, scene: str, style: str = DRAWN) -> Image.Image:
    """`who` alone in a scene."""
    return draw(rng, Spec(scene, (place_one(rng, who, None),), "", style), DRAWN_AT).image


def _any_portrait(rng: np.random.Generator, who: Individual) -> Image.Image:
    """`who` alone in a random scene, three times in ten in a random style."""
    scene = str(rng.choice(list(SCENES)))
    style = str(rng.choice(list(STYLES))) if rng.random() < 0.3 else DRAWN
    return _portrait(rng, who, scene, style)


def build_gallery(model: Embedder, catalogue: Catalogue, out: Path, rng: np.random.Generator) -> dict[str, float]:
    """Write the mean embedding of every individual; returns how well held-out ones are told apart by it."""
    def embed(who: Individual, count: int) -> torch.Tensor:
        with torch.no_grad():
            views = [_portrait(rng, who, str(rng.choice(GALLERY_SCENES))) for _ in range(count)]
            found: torch.Tensor = model(prepare(views))
            return found

    individuals = catalogue.individuals
    gallery = F.normalize(torch.stack([embed(i, GALLERY_VIEWS).mean(0) for i in individuals]), dim=-1)
    tries = [(n, embed(i, 4)) for n, i in enumerate(individuals) if i.held_out]
    ranks = torch.cat([(z @ gallery.T > (z @ gallery[n])[:, None]).sum(-1) for n, z in tries])
    save_file({"gallery": gallery.half()}, out / "gallery.safetensors",
              {"glyphs": " ".join(i.glyph for i in individuals),
               "nouns": ",".join(i.noun for i in individuals)})
    return {"recall@1": (ranks == 0).float().mean().item(),
            "recall@5": (ranks < 5).float().mean().item(), "individuals": float(len(individuals))}


def train(config: StarterConfig, work: Path) -> None:
    """Both judges, into `work/judges`."""
    folder = work / "judges"
    folder.mkdir(exist_ok=True)
    train_embedder(config, work, folder)
    train_scene_judge(config, work, folder)
