"""The starter's text encoder and UNet: built, trained together on cached latents, assembled."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from adapters.errors import StudioError
from pipelines.starter import autoencoder, tokenizer
from pipelines.starter.config import StarterConfig
from pipelines.starter.latents import cache_parts, cache_scenes
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.stage import Stage, device, one_cycle
from pipelines.starter.warm_start import warm_start

# Scenes (0), close-ups (1), two side by side (2) and one over the other (3), in turn. Which object is where
# is what is learned last, and a half of a scene shows it at half the cost.
TURNS = (0, 1, 2, 3, 0, 1, 2, 2)


def build_unet(config: StarterConfig) -> UNet2DConditionModel:
    """Latents at 32x32 pass one plain block; cross-attention runs at 16x16 and 8x8."""
    s = config.diffusion
    return UNet2DConditionModel(
        sample_size=config.latent_side, in_channels=config.autoencoder.latent_channels,
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


def build_model(config: StarterConfig, tokens: CLIPTokenizer) -> torch.nn.ModuleDict:
    """UNet and text encoder as one module: what is trained, averaged and kept together."""
    return torch.nn.ModuleDict({"unet": build_unet(config), "text_encoder": build_text_encoder(config, tokens)})


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
        """Move a little towards `model`, further in the early steps."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            for mean, new in zip(self.model.parameters(), model.parameters(), strict=True):
                mean.lerp_(new, 1 - decay)

    def state_dict(self) -> dict[str, object]:
        """The averaged weights and how often they were updated."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.model.load_state_dict(state["model"])
        self.updates = int(state["updates"])


def shifted(u: torch.Tensor, shift: float) -> torch.Tensor:
    """Timesteps 0-999 for `u` in 0..1, more of the noisy ones for `shift` above 1 (arXiv 2403.03206, eq. 23)."""
    return (shift * u / (1 + (shift - 1) * u) * 1000).long().clamp(max=999)


def train(config: StarterConfig, work: Path) -> None:
    """Train or resume; state lives in `work/diffusion.pt`."""
    s, where = config.diffusion, device()
    vae = autoencoder.train(config, work).eval()
    kinds, batches = [cache_scenes(config, vae.to(where), work)], [s.batch]
    if s.close_ups:
        kinds += cache_parts(config, vae, work)
        batches += [s.close_up_batch, s.close_up_batch // 2, s.close_up_batch // 2]
    del vae
    torch.manual_seed(config.seed + 2)
    tokens = tokenizer.build(s.text_length)
    ids = [tokens(k.captions, padding="max_length", truncation=True, return_tensors="pt").input_ids for k in kinds]
    empty = tokens("", padding="max_length", return_tensors="pt").input_ids[0]
    model = build_model(config, tokens)
    if s.start_from:
        warm_start(Path(s.start_from), model["unet"], model["text_encoder"], tokens)
    model.to(where)
    optimizer = MixedOptimizer(model, s.muon_rate, s.learning_rate, weight_decay=0.01)
    ema = Ema(model, s.ema)
    stage = Stage("diffusion", work, {"model": model, "optimizer": optimizer, "ema": ema})
    alphas = build_scheduler().alphas_cumprod

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, s.steps, warmup=100))
        kind = TURNS[n % len(TURNS)] if s.close_ups and n < s.close_up_until else 0
        scenes, batch = kinds[kind], batches[kind]
        index = torch.randint(len(scenes.latents), (batch,))
        text = ids[kind][index].clone()
        text[torch.rand(batch) < s.caption_dropout] = empty
        # Stratified timesteps: one from each of `batch` equal slices, so the loss varies less.
        t = shifted((torch.arange(batch) + torch.rand(batch)) / batch, s.timestep_shift)
        x = scenes.latents[index].to(where).float()
        noise, a = torch.randn(x.shape).to(where), alphas[t].to(where).view(-1, 1, 1, 1)
        noisy, target = a.sqrt() * x + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * x
        with torch.autocast(where.type, torch.bfloat16):
            states = model["text_encoder"](text.to(where)).last_hidden_state
            predicted = model["unet"](noisy, t.to(where), states).sample
        weight = 1 + (s.object_weight - 1) * scenes.objects[index].to(where)[:, None].float()
        error = (weight * (predicted.float() - target).square()).mean((1, 2, 3)) / weight.mean((1, 2, 3))
        # Not min-SNR: for v-prediction it fades out the noisiest steps, and these are where the
        # words decide what is painted. With it, 1,000 steps taught scenes but no classes.
        error.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update(model)
        return {"loss": error.mean().item(), "grad": norm.item()}

    stage.run(s.steps, step)


def averaged(config: StarterConfig, work: Path, tokens: CLIPTokenizer) -> torch.nn.ModuleDict:
    """UNet and text encoder with the averaged weights of `work`'s latest checkpoint, on the CPU.

    Raises StudioError when that stage has left none.
    """
    path = work / "diffusion.pt"
    if not path.exists():
        raise StudioError(f"The trained denoiser should be at '{path}', but it is not there; run the stage "
                          "'diffusion' first.")
    model = build_model(config, tokens)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["ema"]["model"])
    return model.eval()


def assemble(config: StarterConfig, work: Path) -> StableDiffusionPipeline:
    """The stock pipeline with the averaged weights of `work`'s latest checkpoint."""
    tokens = tokenizer.build(config.diffusion.text_length)
    model = averaged(config, work, tokens)
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(work / "vae"), text_encoder=model["text_encoder"],
        tokenizer=tokens, unet=model["unet"], scheduler=build_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )
