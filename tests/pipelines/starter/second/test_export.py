"""What export replaces, and that a stage goes on where it stopped."""

from pathlib import Path

import pytest
import torch

from adapters.errors import StudioError
from pipelines.starter import judge
from pipelines.starter.judge import save
from pipelines.starter.second.config import StarterConfig
from pipelines.starter.second.export import card, export, replace
from pipelines.starter.second.judge import load_scene_judge
from pipelines.starter.second.stage import Stage


def test_without_judges_nothing_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StudioError, match="scene_judge"):
        export(StarterConfig.load(), tmp_path, out)
    assert not out.exists()


def test_what_is_replaced_is_replaced_whole_and_the_rest_stays(tmp_path: Path) -> None:
    new = tmp_path / "scratch"
    for folder, name in ((tmp_path, "scenes.png"), (new, "scenes.webp")):
        (folder / "evaluation").mkdir(parents=True)
        (folder / "evaluation" / name).write_text(name)
    (new / "words.json").write_text("[]")
    (tmp_path / "LICENSE-NOTO.md").write_text("stays")
    replace(new, tmp_path)
    assert [f.name for f in (tmp_path / "evaluation").iterdir()] == ["scenes.webp"]
    assert (tmp_path / "words.json").exists() and (tmp_path / "LICENSE-NOTO.md").read_text() == "stays"


def test_the_card_names_the_photo_subjects(tmp_path: Path) -> None:
    told = tmp_path / "photos.json"
    assert "* Trained on: none\n" in card(told)
    told.write_text('{"trained": ["clock", "boot"], "kept_out": ["robot"]}')
    written = card(told)
    assert "* Trained on: clock, boot\n* Kept out, for `photo_db`: robot\n<!-- /photos -->" in written
    assert written.count("## ") == card(tmp_path / "nothing.json").count("## ") > 4


def test_a_judge_of_the_first_edition_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = judge.SceneJudge(["cat"], ["red"], ["beach"])
    save(old, tmp_path / "scene_judge.safetensors", {"nouns": ["cat"], "colours": ["red"], "scenes": ["beach"]})
    with pytest.raises(StudioError, match="first edition"):
        load_scene_judge(tmp_path)


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
