"""The starter's AutoencoderKL: training, and latents normalised inside its own convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D

from pipelines.starter.config import StarterConfig
from pipelines.starter.glyphs import Catalogue
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.stage import Stage, one_cycle, to_tensor
from pipelines.starter.world import World, draw


def build(config: StarterConfig) -> AutoencoderKL:
    """A narrow AutoencoderKL; no attention, so that any image size costs in proportion."""
    depth = len(config.autoencoder.channels)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, sample_size=config.size,
        down_block_types=("DownEncoderBlock2D",) * depth,
        up_block_types=("UpDecoderBlock2D",) * depth,
        block_out_channels=tuple(config.autoencoder.channels), layers_per_block=1,
        latent_channels=config.autoencoder.latent_channels, norm_num_groups=8,
        mid_block_add_attention=False, scaling_factor=1.0,
    )
    _initialise(vae, config.autoencoder.latent_channels)
    return vae


def _initialise(vae: AutoencoderKL, c: int) -> None:
    """Variance-preserving convolutions, near-identity residual blocks, little sampling noise.

    Worth 2 dB after 150 steps here; at PyTorch's defaults the picture fades on its way through,
    and posterior noise of unit variance drowns what is left.
    """
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, ResnetBlock2D):
                module.conv2.weight *= 0.1
        vae.decoder.conv_out.weight *= 0.3
        vae.quant_conv.weight[c:].zero_()
        vae.quant_conv.bias[c:].fill_(-6.0)


def gradient_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """L1 between the images' horizontal and vertical differences: keeps edges sharp."""
    return sum(
        ((a.diff(dim=d) - b.diff(dim=d)).abs().mean() for d in (-1, -2)), start=a.new_zeros(())
    )


def fold_normalisation(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Make the latents zero-mean, unit-variance per channel by rewriting the 1x1 convolutions.

    Stock pipelines know one scalar `scaling_factor`; mean and std, each [C], go into `quant_conv`
    (means and log-variances) and their inverse into `post_quant_conv`.
    """
    c = len(mean)
    with torch.no_grad():
        q, p = vae.quant_conv, vae.post_quant_conv
        q.weight[:c] /= std[:, None, None, None]
        q.bias[:c] = (q.bias[:c] - mean) / std
        q.bias[c:] -= 2 * std.log()
        p.bias += p.weight[:, :, 0, 0] @ mean
        p.weight *= std[None, :, None, None]


def train(config: StarterConfig, work: Path) -> AutoencoderKL:
    """Train from scratch or resume; the finished, normalised model is kept in `work/vae`."""
    if (work / "vae").exists():
        return AutoencoderKL.from_pretrained(work / "vae")
    settings = config.autoencoder
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    catalogue = Catalogue(config.edition)
    world = World(catalogue, catalogue.trainable(), coloured=0.5)
    images = [draw(rng, world.spec(rng), config.size).image for _ in range(settings.scenes)]

    vae = build(config)
    optimizer = MixedOptimizer(vae, settings.muon_rate, settings.learning_rate)
    stage = Stage("autoencoder", work, {"model": vae, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, settings.steps, warmup=50))
        x = to_tensor([images[i] for i in torch.randint(len(images), (settings.batch,)).tolist()])
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            y = vae.decode(posterior.sample()).sample
        y = y.float()
        l1, grad = (x - y).abs().mean(), gradient_loss(x, y)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        (l1 + settings.gradient_weight * grad + settings.kl_weight * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        psnr = 10 * torch.log10(4 / F.mse_loss(x, y.detach().clamp(-1, 1)))
        return {"l1": l1.item(), "edges": grad.item(), "kl": kl.item(), "psnr": psnr.item()}

    stage.run(settings.steps, step)
    with torch.no_grad():
        z = torch.cat([vae.encode(to_tensor(images[i:i + 32])).latent_dist.mean
                       for i in range(0, 1024, 32)])
    fold_normalisation(vae, z.mean((0, 2, 3)), z.std((0, 2, 3)))
    vae.save_pretrained(work / "vae")
    return vae
