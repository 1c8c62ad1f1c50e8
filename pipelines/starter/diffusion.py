"""The starter's text encoder and UNet: built, trained together on cached latents, assembled."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pipelines.starter import autoencoder, tokenizer
from pipelines.starter.config import StarterConfig
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.stage import Stage, one_cycle, to_tensor
from pipelines.starter.world import World, draw


def build_unet(config: StarterConfig) -> UNet2DConditionModel:
    """Latents at 32x32 pass one plain block; cross-attention runs at 16x16 and 8x8."""
    s = config.diffusion
    return UNet2DConditionModel(
        sample_size=config.size // 4, in_channels=config.autoencoder.latent_channels,
        out_channels=config.autoencoder.latent_channels, layers_per_block=1,
        block_out_channels=tuple(s.channels),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=s.text_width, attention_head_dim=8, norm_num_groups=16,
    )


def build_text_encoder(config: StarterConfig, tokens: CLIPTokenizer) -> CLIPTextModel:
    """A small CLIP text tower; `eos_token_id` is the real one, so pooling finds the end."""
    s = config.diffusion
    model = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokens), hidden_size=s.text_width, intermediate_size=4 * s.text_width,
        num_hidden_layers=s.text_layers, num_attention_heads=s.text_heads,
        max_position_embeddings=s.text_length, projection_dim=s.text_width,
        bos_token_id=tokens.bos_token_id, eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    ))
    # At CLIP's 0.02 the layers' own output soon drowns which word it was: after 1,500 steps nouns
    # moved the prediction thirty times less than scenes did.
    torch.nn.init.normal_(model.embeddings.token_embedding.weight, std=1.0)
    torch.nn.init.normal_(model.embeddings.position_embedding.weight, std=0.3)
    return model


def build_scheduler() -> DDIMScheduler:
    """v-prediction with zero terminal SNR (Lin et al., arXiv 2305.08891)."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=True, steps_offset=0, prediction_type="v_prediction",
        rescale_betas_zero_snr=True, timestep_spacing="trailing",
    )


class Ema:
    """Exponential moving average of a model's parameters, warmed up."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.model, self.decay, self.updates = copy.deepcopy(model).requires_grad_(False), decay, 0

    def update(self, model: torch.nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            for mean, new in zip(self.model.parameters(), model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)

    def state_dict(self) -> dict[str, object]:
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, object]) -> None:
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.updates = int(state["updates"])  # type: ignore[call-overload]


def cache_scenes(config: StarterConfig, vae: AutoencoderKL, work: Path) -> tuple[torch.Tensor, list[str]]:
    """Latents [N, C, h, w] fp16 and captions of `scenes` random scenes, made once."""
    path = work / "latents.pt"
    if path.exists():
        saved = torch.load(path, weights_only=True)
        return saved["latents"], saved["captions"]
    catalogue = Catalogue(config.edition)
    individuals = catalogue.trainable()
    catalogue.check_trainable(individuals)
    world, rng = World(catalogue, individuals), np.random.default_rng(config.seed + 1)
    latents, captions = [], []
    for _ in range(0, config.diffusion.scenes, 50):
        specs = [world.spec(rng) for _ in range(50)]
        images = to_tensor([draw(rng, s, config.size).image for s in specs])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(images).latent_dist.mean.half())
        captions += [s.caption for s in specs]
    torch.save({"latents": torch.cat(latents), "captions": captions}, path)
    return torch.cat(latents), captions


def train(config: StarterConfig, work: Path) -> None:
    """Train from scratch or resume; state lives in `work/diffusion.pt`."""
    s = config.diffusion
    vae = autoencoder.train(config, work).eval()
    latents, captions = cache_scenes(config, vae, work)
    torch.manual_seed(config.seed + 2)
    tokens = tokenizer.build(s.text_length)
    ids = tokens(captions, padding="max_length", truncation=True, return_tensors="pt").input_ids
    empty = tokens("", padding="max_length", return_tensors="pt").input_ids[0]
    model = torch.nn.ModuleDict({"unet": build_unet(config),
                                 "text_encoder": build_text_encoder(config, tokens)})
    optimizer = MixedOptimizer(model, s.muon_rate, s.learning_rate, weight_decay=0.01)
    ema = Ema(model, s.ema)
    stage = Stage("diffusion", work, {"model": model, "optimizer": optimizer, "ema": ema})
    alphas = build_scheduler().alphas_cumprod

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, s.steps, warmup=100))
        index = torch.randint(len(latents), (s.batch,))
        x, text = latents[index].float(), ids[index].clone()
        text[torch.rand(s.batch) < s.caption_dropout] = empty
        # Stratified timesteps: one from each of `batch` equal slices, so the loss varies less.
        t = ((torch.arange(s.batch) + torch.rand(s.batch)) / s.batch * 1000).long()
        noise = torch.randn_like(x)
        a = alphas[t].view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * x + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * x
        with torch.autocast("cpu", torch.bfloat16):
            states = model["text_encoder"](text).last_hidden_state
            predicted = model["unet"](noisy, t, states).sample
        error = F.mse_loss(predicted.float(), target, reduction="none").mean((1, 2, 3))
        # Not min-SNR: for v-prediction it fades out the noisiest steps, and these are where the
        # words decide what is painted. With it, 1,000 steps taught scenes but no classes.
        error.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update(model)
        return {"loss": error.mean().item(), "grad": norm.item()}

    stage.run(s.steps, step)


def assemble(config: StarterConfig, work: Path) -> StableDiffusionPipeline:
    """The stock pipeline with the averaged weights of `work`'s latest checkpoint."""
    tokens = tokenizer.build(config.diffusion.text_length)
    state = torch.load(work / "diffusion.pt", weights_only=True)["ema"]["model"]
    model = torch.nn.ModuleDict({"unet": build_unet(config),
                                 "text_encoder": build_text_encoder(config, tokens)})
    model.load_state_dict(state)
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae"), text_encoder=model["text_encoder"].eval(),
        tokenizer=tokens, unet=model["unet"].eval(), scheduler=build_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )
