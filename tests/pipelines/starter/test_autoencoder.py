"""The autoencoder grows from an older one: weights by level, latents by matching."""

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from pipelines.starter import autoencoder
from pipelines.starter.config import StarterConfig


def test_a_deeper_autoencoder_takes_over_the_inner_levels(config: StarterConfig) -> None:
    shallow = config.model_copy(update={"autoencoder": config.autoencoder.model_copy(
        update={"channels": config.autoencoder.channels[1:]})})
    old, new = autoencoder.build(shallow), autoencoder.build(config)
    copied = autoencoder.copy_inner(old, new)
    assert len(old.state_dict()) // 2 < copied <= len(old.state_dict())
    assert torch.equal(new.encoder.mid_block.resnets[0].conv1.weight, old.encoder.mid_block.resnets[0].conv1.weight)
    assert torch.equal(new.encoder.down_blocks[3].resnets[0].conv2.weight,
                       old.encoder.down_blocks[2].resnets[0].conv2.weight)
    assert torch.equal(new.decoder.up_blocks[0].resnets[0].conv1.weight,
                       old.decoder.up_blocks[0].resnets[0].conv1.weight)
    x = torch.rand(1, 3, 64, 64)
    assert new.encode(x).latent_dist.mean.shape == (1, 4, 8, 8) == (1, 4, config.latent_side, config.latent_side)


def test_folded_latents_are_normal_and_decode_to_the_same_picture(config: StarterConfig) -> None:
    torch.manual_seed(0)
    vae, x = autoencoder.build(config).eval(), torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        before = vae.encode(x).latent_dist
        whole = vae.decode(before.mean).sample
        autoencoder.fold_normalisation(vae, before.mean.mean((0, 2, 3)), before.mean.std((0, 2, 3)))
        after = vae.encode(x).latent_dist
        folded = vae.decode(after.mean).sample
    torch.testing.assert_close(after.mean.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.mean.std((0, 2, 3)), torch.ones(4))
    torch.testing.assert_close(after.std, before.std / before.mean.std((0, 2, 3), keepdim=True))
    torch.testing.assert_close(folded, whole, atol=1e-5, rtol=1e-4)


def test_latents_are_matched_at_half_the_size(tmp_path: Path, config: StarterConfig) -> None:
    shallow = config.model_copy(update={"autoencoder": config.autoencoder.model_copy(
        update={"channels": config.autoencoder.channels[1:]})})
    old = autoencoder.build(shallow)
    old.save_pretrained(tmp_path / "vae")
    match = autoencoder.Match(tmp_path, autoencoder.build(config), torch.device("cpu"))
    x = torch.rand(1, 3, 64, 64)
    small = torch.nn.functional.avg_pool2d(x, 2)
    with torch.no_grad():
        assert torch.allclose(match.latents(x), old.encode(small).latent_dist.mean, atol=1e-5)
    with pytest.raises(StudioError, match="match_from"):
        autoencoder.Match(tmp_path / "nowhere", autoencoder.build(config), torch.device("cpu"))
