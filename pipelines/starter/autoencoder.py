"""The starter's AutoencoderKL: built, grown from an older one, trained on scenes and photos."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from PIL import Image

from adapters.errors import StudioError
from pipelines.starter.config import StarterConfig
from pipelines.starter.drawing import Order, scenes
from pipelines.starter.muon import MixedOptimizer
from pipelines.starter.photos import Crops, Split, photo_folder, split_subjects, squares
from pipelines.starter.stage import Stage, device, from_bytes, one_cycle, to_tensor


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


def copy_inner(old: AutoencoderKL, new: AutoencoderKL) -> int:
    """Copy `old`'s weights into a `new` one of as many or more levels; returns how many tensors fit.

    Both end in the same latent grid for a picture shrunk by the levels between them, so the levels are
    counted from the latents outwards: the encoder's move down, the decoder's keep their numbers.
    """
    shift = len(new.config.block_out_channels) - len(old.config.block_out_channels)
    target, copied = new.state_dict(), 0
    for name, value in old.state_dict().items():
        renamed = re.sub(r"^encoder\.down_blocks\.(\d+)", lambda m: f"encoder.down_blocks.{int(m[1]) + shift}", name)
        if renamed in target and target[renamed].shape == value.shape:
            target[renamed].copy_(value)
            copied += 1
    return copied


class Match:
    """The latents that an older autoencoder gives the same picture at its own, smaller size."""

    def __init__(self, folder: Path, new: AutoencoderKL, where: torch.device) -> None:
        if not (folder / "vae" / "config.json").is_file():
            raise StudioError(f"'match_from' should name a pipeline folder with a 'vae' in it, but '{folder}' "
                              "has none; correct it in the config, or leave it out to start anew.")
        self.vae = AutoencoderKL.from_pretrained(folder / "vae").float().to(where).requires_grad_(False)
        self.shrink = 1 << (len(new.config.block_out_channels) - len(self.vae.config.block_out_channels))
        print(f"autoencoder: {copy_inner(self.vae, new)} of {len(new.state_dict())} tensors taken over")

    @torch.no_grad()
    def latents(self, x: torch.Tensor) -> torch.Tensor:
        """Means [N, C, h, w] for pictures [N, 3, H, W] in -1..1."""
        mean: torch.Tensor = self.vae.encode(F.avg_pool2d(x, self.shrink)).latent_dist.mean
        return mean.float()


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean over pictures [N, 3, H, W] in -1..1 of the peak signal-to-noise ratio, in dB."""
    error = (a - b).square().mean((1, 2, 3)).clamp(min=1e-12)
    return float((10 * torch.log10(4 / error)).mean())


def reconstruct(vae: AutoencoderKL, pictures: list[Image.Image], batch: int = 8) -> float:
    """PSNR in dB of pictures of one size after encoding (to the mean) and decoding."""
    where = next(vae.parameters()).device
    found = []
    for start in range(0, len(pictures), batch):
        x = to_tensor(pictures[start:start + batch]).to(where)
        with torch.no_grad():
            y = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
        found += [psnr(a[None], b[None]) for a, b in zip(x, y, strict=True)]
    return sum(found) / len(found)


def train(config: StarterConfig, work: Path) -> AutoencoderKL:
    """Train or resume; the finished model is kept in `work/vae`, on the CPU.

    Photos join where SEMBLANCE_PHOTOS names some; `work/photos.json` says which. The latents are
    normalised, unless they were matched to those of an older model.
    """
    if (work / "vae").exists():
        return AutoencoderKL.from_pretrained(work / "vae")
    settings, where = config.autoencoder, device()
    folder = photo_folder()
    split = split_subjects(folder) if folder and settings.photo_share else None
    torch.manual_seed(config.seed)
    started = time.monotonic()
    images, _ = scenes(Order(config.seed, config.size, {"coloured": 0.5}), settings.scenes)
    print(f"autoencoder: {settings.scenes / (time.monotonic() - started):.0f} scenes/s drawn", flush=True)
    crops = Crops(split.trained, config.size) if split else None
    from_photos = round(settings.batch * settings.photo_share) if crops else 0

    vae = build(config).to(where)
    match = Match(Path(settings.match_from), vae, where) if settings.match_from else None
    optimizer = MixedOptimizer(vae, settings.muon_rate, settings.learning_rate)
    stage = Stage("autoencoder", work, {"model": vae, "optimizer": optimizer})

    def step(n: int) -> dict[str, float]:
        optimizer.set_schedule(one_cycle(n, settings.steps, warmup=50))
        batch = images[torch.randint(len(images), (settings.batch - from_photos,)).numpy()]
        if crops:
            batch = np.concatenate([batch, crops.draw(from_photos)])
        x = from_bytes(batch, where)
        with torch.autocast(where.type, torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            # The noise comes from the CPU, so that a resumed run is the same run on any device.
            noise = torch.randn(posterior.mean.shape).to(where)
            y = vae.decode(posterior.mean + posterior.std * noise).sample
        y = y.float()
        l1, grad = (x - y).abs().mean(), gradient_loss(x, y)
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        loss = l1 + settings.gradient_weight * grad + settings.kl_weight * kl
        apart = F.mse_loss(posterior.mean.float(), match.latents(x)) if match else loss.new_zeros(())
        (loss + settings.match_weight * apart).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        said = {"l1": l1.item(), "edges": grad.item(), "kl": kl.item(), "psnr": psnr(x, y.detach().clamp(-1, 1))}
        return said | ({"apart": apart.item()} if match else {})

    stage.run(settings.steps, step)
    vae = vae.cpu().eval()
    if not match:
        few = images[:1024]
        with torch.no_grad():
            z = torch.cat([vae.encode(from_bytes(few[i:i + 16])).latent_dist.mean for i in range(0, len(few), 16)])
        fold_normalisation(vae, z.mean((0, 2, 3)), z.std((0, 2, 3)))
    _tell(vae, config, work, split)
    vae.save_pretrained(work / "vae")
    return vae


def _tell(vae: AutoencoderKL, config: StarterConfig, work: Path, split: Split | None) -> None:
    """Print how well unseen pictures come through, and keep which photo subjects were used."""
    unseen, _ = scenes(Order(config.seed + 900_000, config.size), 48)
    print(f"autoencoder: {reconstruct(vae, [Image.fromarray(p) for p in unseen]):.2f} dB on unseen scenes")
    subjects: dict[str, list[str]] = {"trained": [], "kept_out": []}
    if split:
        subjects = {"trained": [p.name for p in split.trained], "kept_out": [p.name for p in split.kept_out]}
        found = reconstruct(vae, squares(split.kept_out, config.size))
        print(f"autoencoder: {found:.2f} dB on photos of subjects that were kept out")
    (work / "photos.json").write_text(json.dumps(subjects) + "\n", "utf-8")
