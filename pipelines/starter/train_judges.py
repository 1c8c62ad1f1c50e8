"""Training of the judges: their own seeds, their own scenes, pictures worn as a base wears them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from pipelines.starter.config import StarterConfig
from pipelines.starter.glyphs import COLOURS, Catalogue, Individual, sprite
from pipelines.starter.judge import Embedder, SceneJudge, prepare, save
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.scenes import SCENES
from pipelines.starter.stage import Stage, one_cycle
from pipelines.starter.world import Spec, World, draw, place_one

_SEED_APART = 7_000
GALLERY_VIEWS = 6
_ALL_EDITIONS = 99


def wear(x: torch.Tensor) -> torch.Tensor:
    """Blur, colour shift, noise and small shifts on [N, 3, H, W]: what a generated picture suffers."""
    n = len(x)
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, blurred, torch.rand(n, 1, 1, 1) * 1.2)
    x = x * (1 + 0.12 * torch.randn(n, 3, 1, 1)) + 0.05 * torch.randn(n, 3, 1, 1)
    x = x + torch.rand(n, 1, 1, 1) * 0.12 * F.interpolate(torch.randn(n, 3, 24, 24), x.shape[-2:])
    dx, dy = torch.randint(-4, 5, (2,)).tolist()
    return x.roll((dy, dx), (2, 3)).clamp(-1, 1)


def _scene_targets(specs: list[Spec], world: World) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    nouns, colours, scenes = world.nouns, list(COLOURS), list(SCENES)
    objects = torch.zeros(len(specs), len(nouns), 2)
    paint = torch.zeros(len(specs), len(colours), 2)
    for n, spec in enumerate(specs):
        for p in spec.placements:
            halves = [0, 1] if len(spec.placements) == 1 else [int(p.x > 0.5)]
            objects[n, nouns.index(p.individual.noun), halves] = 1
            if p.colour:
                paint[n, colours.index(p.colour), halves] = 1
    return objects, paint, torch.tensor([scenes.index(s.scene) for s in specs])


def _scenes(world: World, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, list[Spec]]:
    specs = [world.spec(rng) for _ in range(count)]
    images = torch.cat([(prepare([draw(rng, s, 128).image]) * 127).to(torch.int8) for s in specs])
    return images, specs


def train_scene_judge(config: StarterConfig, work: Path, out: Path) -> None:
    """Train and save the classifier; its accuracy on unseen scenes stands in its header."""
    torch.manual_seed(config.seed + _SEED_APART)
    rng = np.random.default_rng(config.seed + _SEED_APART)
    catalogue = Catalogue(config.edition)
    world = World(catalogue, catalogue.trainable(), two_objects=0.35)
    images, specs = _scenes(world, rng, config.judge.scenes)
    objects, paint, place = _scene_targets(specs, world)
    model = SceneJudge(world.nouns, list(COLOURS), list(SCENES))
    optimizer = MixedOptimizer(model, 0.01, config.judge.learning_rate)
    stage = Stage("scene_judge", work, {"model": model, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, config.judge.steps, warmup=100))
        i = torch.randint(len(images), (config.judge.batch,))
        with torch.autocast("cpu", torch.bfloat16):
            said = model(wear(images[i].float() / 127))
        loss = (F.binary_cross_entropy_with_logits(said["objects"].float(), objects[i], reduction="sum")
                + F.binary_cross_entropy_with_logits(said["paint"].float(), paint[i], reduction="sum")
                ) / len(i) + F.cross_entropy(said["place"].float(), place[i])
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    stage.run(config.judge.steps, step)
    model.eval()
    fresh, unseen = _scenes(world, np.random.default_rng(config.seed + 2 * _SEED_APART), 1000)
    single = [n for n, s in enumerate(unseen) if len(s.placements) == 1]
    truth, _, where = _scene_targets(unseen, world)
    with torch.no_grad():
        said = model(fresh.float() / 127)
    right = said["objects"][single].amax(-1).argmax(-1) == truth[single].amax(-1).argmax(-1)
    accuracy = {"class": right.float().mean().item(),
                "scene": (said["place"].argmax(-1) == where).float().mean().item()}
    print("scene judge on 1000 unseen scenes:", accuracy)
    save(model, out / "scene_judge.safetensors",
         {"nouns": world.nouns, "colours": list(COLOURS), "scenes": list(SCENES), "accuracy": accuracy})


def all_glyphs() -> list[str]:
    """Every single-codepoint picture of the font."""
    found = []
    for code in (*range(0x1F300, 0x1FAFF), *range(0x2600, 0x27BF)):
        try:
            if min(sprite(chr(code)).size) > 40:
                found.append(chr(code))
        except ValueError:
            continue
    return found


def train_embedder(config: StarterConfig, work: Path, out: Path) -> None:
    """Train the likeness embedding on every glyph of the font but the held-out ones."""
    torch.manual_seed(config.seed + 3 * _SEED_APART)
    rng = np.random.default_rng(config.seed + 3 * _SEED_APART)
    catalogue = Catalogue(_ALL_EDITIONS)
    hidden = {i.glyph.rstrip("\ufe0f") for i in catalogue.held_out()}
    known = {i.glyph for i in catalogue.trainable()}
    glyphs = [g for g in sorted(set(all_glyphs()) | known) if g.rstrip("\ufe0f") not in hidden]
    who = [Individual(g, "thing", "thing", False, "thing") for g in glyphs]
    views = 10
    images = torch.cat([(prepare([_portrait(rng, i)]) * 127).to(torch.int8)
                        for i in who for _ in range(views)])
    print(f"embedder: {len(glyphs)} glyphs")
    model = Embedder()
    centres = torch.nn.Parameter(F.normalize(torch.randn(len(glyphs), 128), dim=-1))
    model.register_parameter("centres", centres)
    optimizer = MixedOptimizer(model, 0.01, config.embedder.learning_rate)
    stage = Stage("embedder", work, {"model": model, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, config.embedder.steps, warmup=100))
        i = torch.randint(len(images), (config.embedder.batch,))
        label = i // views
        with torch.autocast("cpu", torch.bfloat16):
            z = model(wear(images[i].float() / 127))
        cosine = F.normalize(z.float(), dim=-1) @ F.normalize(centres, dim=-1).T
        # CosFace (Wang et al., 2018): the right glyph must win by a margin.
        cosine = cosine - 0.2 * F.one_hot(label, len(glyphs))
        loss = F.cross_entropy(20 * cosine, label)
        loss.backward()
        optimizer.step()
        return {"loss": loss.item(), "top1": (cosine.argmax(-1) == label).float().mean().item()}

    stage.run(config.embedder.steps, step)
    del model.centres
    model.eval()
    accuracy = _build_gallery(model, catalogue, out, rng)
    print("embedder on held-out individuals:", accuracy)
    save(model, out / "embedder.safetensors", {"accuracy": accuracy})


def _portrait(rng: np.random.Generator, who: Individual) -> Image.Image:
    scene = str(rng.choice(list(SCENES)))
    return draw(rng, Spec(scene, (place_one(rng, who, None),), ""), 128).image


def _build_gallery(model: Embedder, catalogue: Catalogue, out: Path,
                   rng: np.random.Generator) -> dict[str, float]:
    """Mean embedding of every individual, and how well held-out ones are told apart by it."""
    def embed(who: Individual, count: int) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(prepare([_portrait(rng, who) for _ in range(count)]))
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


def train(config: StarterConfig, work: Path, out: Path) -> None:
    """Both judges, into `out/judges`."""
    folder = out / "judges"
    folder.mkdir(parents=True, exist_ok=True)
    train_embedder(config, work, folder)
    train_scene_judge(config, work, folder)
