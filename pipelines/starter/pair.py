"""The image tower beside the text tower: a CLIPModel whose text side is the denoiser's own, frozen.

Locked-text tuning, the mirror of Zhai et al., LiT (2022, arXiv 2111.07991): only the image tower, both
projections and the temperature learn, so that the text tower goes on conditioning the UNet unchanged.
A batch is made of few scenes with many pictures each (hard negatives, as in Robinson et al., arXiv 2010.04592):
among random pictures the background alone tells most captions apart, and what stands on it is hardly learned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from pipelines.shipped import STARTER
from pipelines.starter import tokenizer
from pipelines.starter.config import StarterConfig
from pipelines.starter.diffusion import averaged
from pipelines.starter.drawing import Order, scenes
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.stage import Stage, device, from_bytes, one_cycle, to_tensor

FOLDER = "clip"
_TEXT = "text_model."


def build(config: StarterConfig, text_encoder: CLIPTextModel) -> CLIPModel:
    """A CLIPModel around a copy of `text_encoder`."""
    p = config.pair
    model = CLIPModel(CLIPConfig(
        text_config=text_encoder.config.to_dict(), projection_dim=p.projection,
        vision_config=CLIPVisionConfig(
            hidden_size=p.width, intermediate_size=4 * p.width, num_hidden_layers=p.layers,
            num_attention_heads=p.heads, image_size=p.image_size, patch_size=p.patch,
            projection_dim=p.projection).to_dict()))
    held = {_TEXT + k: v for k, v in text_encoder.state_dict().items()}
    missing = model.load_state_dict(held, strict=False)
    if missing.unexpected_keys:
        raise ValueError(f"The two classes should share one text tower, but '{missing.unexpected_keys[0]}' is of one.")
    return model


class ImageSide(torch.nn.Module):
    """What learns of a CLIPModel."""

    def __init__(self, model: CLIPModel) -> None:
        super().__init__()
        self.vision_model, self.visual_projection = model.vision_model, model.visual_projection
        self.text_projection, self.logit_scale = model.text_projection, model.logit_scale

    def forward(self, x: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """Logits [N, M] of pictures [N, 3, H, W] in -1..1 against pooled text states [M, D]."""
        images = F.normalize(self.visual_projection(self.vision_model(x).pooler_output).float(), dim=-1)
        texts = F.normalize(self.text_projection(pooled).float(), dim=-1)
        logits: torch.Tensor = self.logit_scale.clamp(max=4.6).exp() * images @ texts.T
        return logits


@torch.no_grad()
def pooled_states(text_encoder: CLIPTextModel, tokens: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """[N, D]: the text tower's state at each caption's end."""
    where = next(text_encoder.parameters()).device
    ids = tokens(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    return torch.cat([text_encoder(part.to(where)).pooler_output.float().cpu() for part in ids.split(256)])


def worn(x: torch.Tensor, shift: int) -> torch.Tensor:
    """Pictures [N, 3, H, W], each moved by up to `shift` pixels, half of them blurred.

    Moved, because a patch tower learns too few pictures by heart where things lie on its grid; blurred, because
    generated pictures are softer than drawn ones.
    """
    wide, (height, width) = F.pad(x, (shift,) * 4, mode="replicate"), x.shape[2:]
    corners = torch.randint(0, 2 * shift + 1, (len(x), 2)).tolist()
    x = torch.stack([one[:, a:a + height, b:b + width] for one, (a, b) in zip(wide, corners, strict=True)])
    soft = (torch.rand(len(x)) < 0.5).to(x.device)
    x[soft] = F.avg_pool2d(F.pad(x[soft], (1, 1, 1, 1), mode="replicate"), 3, 1)
    return x


class Batches:
    """Numbers of pictures to learn from together: `size` of them from `groups` scenes, chosen by how many each has."""

    def __init__(self, scenes: Sequence[str], size: int, groups: int) -> None:
        numbers: dict[str, list[int]] = {}
        for n, scene in enumerate(scenes):
            numbers.setdefault(scene, []).append(n)
        self.members = [torch.tensor(v) for v in numbers.values()]
        self.weights = torch.tensor([float(len(m)) for m in self.members])
        self.groups, self.each = min(groups, len(self.members)), size // min(groups, len(self.members))

    def draw(self) -> torch.Tensor:
        """The next batch, by torch's generator."""
        chosen = [self.members[g] for g in torch.multinomial(self.weights, self.groups)]
        return torch.cat([m[torch.randperm(len(m))[:self.each]] for m in chosen])


def text_tower(config: StarterConfig, work: Path, tokens: CLIPTokenizer) -> CLIPTextModel:
    """The finished text tower: that of `work`'s denoiser, or where none was trained there, the one that ships."""
    if (work / "diffusion.pt").exists():
        trained: CLIPTextModel = averaged(config, work, tokens)["text_encoder"]
        return trained
    return CLIPTextModel.from_pretrained(STARTER / "pipeline" / "text_encoder").float().eval()


def train(config: StarterConfig, work: Path) -> None:
    """Train or resume; state lives in `work/pair.pt`."""
    p, where = config.pair, device()
    tokens = tokenizer.build(config.diffusion.text_length)
    text_encoder = text_tower(config, work, tokens).to(where)
    images, specs = scenes(Order(config.seed + 3, p.image_size), p.scenes)
    pooled = pooled_states(text_encoder, tokens, [s.caption for s in specs])
    torch.manual_seed(config.seed + 4)
    side = ImageSide(build(config, text_encoder)).to(where)
    side.vision_model.config._attn_implementation = "eager"  # for 65 tokens quicker than torch's fused one on a CPU
    batches = Batches([s.scene for s in specs], p.batch, p.groups)
    optimizer = MixedOptimizer(side, p.muon_rate, p.learning_rate, weight_decay=0.01)
    stage = Stage("pair", work, {"model": side, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, p.steps, warmup=100))
        index = batches.draw()
        x = worn(from_bytes(images[index.numpy()], where), p.shift)
        with torch.autocast(where.type, torch.bfloat16):
            logits = side(x, pooled[index].to(where))
        right = torch.arange(len(index), device=where)
        loss = (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
        loss.backward()
        torch.nn.utils.clip_grad_norm_(side.parameters(), 1.0)
        optimizer.step()
        return {"loss": loss.item(), "top1": (logits.argmax(-1) == right).float().mean().item()}

    stage.run(p.steps, step)


def export(config: StarterConfig, work: Path, pipeline: Path) -> None:
    """Write the trained pair as `pipeline/clip`, without a second copy of the text tower.

    The index names the pipeline's own text encoder as the file of the text side's weights, so
    `CLIPModel.from_pretrained(pipeline / "clip")` finds them; for that they are stored under the names
    that CLIP's checkpoints have, which `CLIPTextModel` reads as well.
    """
    text_encoder = CLIPTextModel.from_pretrained(pipeline / "text_encoder")
    model = build(config, text_encoder)
    side = ImageSide(model)
    side.load_state_dict(torch.load(work / "pair.pt", map_location="cpu", weights_only=True)["model"])
    texts = pipeline / "text_encoder" / "model.safetensors"
    stored = load_file(texts)
    renamed = {k if k.startswith(_TEXT) else _TEXT + k: v for k, v in stored.items()}
    if renamed.keys() != stored.keys():
        save_file(renamed, texts, {"format": "pt"})
    folder = pipeline / FOLDER
    folder.mkdir()
    model.half().config.save_pretrained(folder)
    own = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith(_TEXT)}
    save_file(own, folder / "vision.safetensors", {"format": "pt"})
    files = dict.fromkeys(own, "vision.safetensors") | dict.fromkeys(renamed, "../text_encoder/model.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": files}) + "\n", "utf-8")
    edge = config.pair.image_size
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": True, "do_resize": True,
        "size": {"shortest_edge": edge}, "resample": int(Image.Resampling.BICUBIC), "do_center_crop": True,
        "crop_size": {"height": edge, "width": edge}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, indent=1) + "\n", "utf-8")


class Pair:
    """The shipped pair, for scores: `pipeline` is the pipeline folder that holds it."""

    def __init__(self, pipeline: Path) -> None:
        self.model = CLIPModel.from_pretrained(pipeline / FOLDER).float().eval()
        self.tokens = CLIPTokenizer.from_pretrained(pipeline / "tokenizer")
        self.edge = int(self.model.config.vision_config.image_size)

    @torch.no_grad()
    def similarity(self, images: list[Image.Image], captions: list[str]) -> torch.Tensor:
        """Cosines [images, captions]."""
        x = to_tensor([i.convert("RGB").resize((self.edge, self.edge), Image.Resampling.BICUBIC) for i in images])
        ids = self.tokens(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
        shown = torch.cat([self.model.visual_projection(self.model.vision_model(part).pooler_output)
                           for part in x.split(64)])
        said = self.model.text_projection(self.model.text_model(ids).pooler_output)
        cosines: torch.Tensor = F.normalize(shown, dim=-1) @ F.normalize(said, dim=-1).T
        return cosines
