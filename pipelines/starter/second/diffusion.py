"""The second edition's text encoder and UNet: trained together on cached latents, assembled."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from transformers import CLIPTokenizer

from adapters.errors import StudioError
from pipelines.starter.diffusion import Ema, build_scheduler, build_text_encoder, build_unet
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.second import autoencoder, tokenizer
from pipelines.starter.second.config import StarterConfig
from pipelines.starter.second.latents import cache_close_ups, cache_scenes
from pipelines.starter.second.stage import Stage, device
from pipelines.starter.second.warm_start import warm_start
from pipelines.starter.stage import one_cycle


def build_model(config: StarterConfig, tokens: CLIPTokenizer) -> torch.nn.ModuleDict:
    """UNet and text encoder as one module: what is trained, averaged and kept together."""
    # build_unet() reckons with an autoencoder that makes pictures four times smaller a side.
    unet = build_unet(config.model_copy(update={"size": 4 * config.latent_side}))
    return torch.nn.ModuleDict({"unet": unet, "text_encoder": build_text_encoder(config, tokens)})


def shifted(u: torch.Tensor, shift: float) -> torch.Tensor:
    """Timesteps 0-999 for `u` in 0..1, more of the noisy ones for `shift` above 1 (arXiv 2403.03206, eq. 23)."""
    return (shift * u / (1 + (shift - 1) * u) * 1000).long().clamp(max=999)


def train(config: StarterConfig, work: Path) -> None:
    """Train or resume; state lives in `work/diffusion.pt`."""
    s, where = config.diffusion, device()
    vae = autoencoder.train(config, work).eval()
    kinds = [cache_scenes(config, vae.to(where), work)]
    if s.close_ups:
        kinds.append(cache_close_ups(config, vae, work))
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
        close = int(s.close_ups > 0 and n < s.close_up_until and n % 3 > 0)
        scenes, batch = kinds[close], s.close_up_batch if close else s.batch
        index = torch.randint(len(scenes.latents), (batch,))
        text = ids[close][index].clone()
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
