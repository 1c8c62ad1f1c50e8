"""Training stages."""

from pathlib import Path

import torch

from pipelines.starter.stage import Stage


def test_a_stage_goes_on_from_what_it_kept(tmp_path: Path) -> None:
    def run(work: Path, steps: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.AdamW(model.parameters(), 0.1)
        stage = Stage("toy", work, {"model": model, "optimizer": optimizer}, save_every=3)

        def step(n: int) -> dict[str, float]:
            optimizer.zero_grad()
            loss = model(torch.randn(4, 2)).square().mean()
            loss.backward()
            optimizer.step()
            return {"loss": loss.item()}

        stage.run(steps, step)
        return list(model.parameters())

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole", 6)
    run(tmp_path / "parts", 3)
    assert all(torch.equal(a, b) for a, b in zip(whole, run(tmp_path / "parts", 6), strict=True))
