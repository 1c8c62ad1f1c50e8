"""What export replaces, and what the model card says."""

import json
from pathlib import Path

import pytest

from adapters.errors import StudioError
from pipelines.starter.config import StarterConfig
from pipelines.starter.export import card, export, forget_paths, replace


def test_without_judges_nothing_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StudioError, match="scene_judge"):
        export(StarterConfig.load(), tmp_path, out)
    assert not out.exists()


def test_what_is_replaced_is_replaced_whole_and_the_rest_stays(tmp_path: Path) -> None:
    new = tmp_path / "scratch"
    for folder, name in ((tmp_path, "left-over.png"), (new, "scenes.webp")):
        (folder / "evaluation").mkdir(parents=True)
        (folder / "evaluation" / name).write_text(name)
    (new / "words.json").write_text("[]")
    (tmp_path / "LICENSE-NOTO.md").write_text("stays")
    replace(new, tmp_path)
    assert [f.name for f in (tmp_path / "evaluation").iterdir()] == ["scenes.webp"]
    assert (tmp_path / "words.json").exists() and (tmp_path / "LICENSE-NOTO.md").read_text() == "stays"


def test_no_configuration_says_where_its_part_lay(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    told = tmp_path / "clip" / "config.json"
    told.write_text('{"text_config": {"_name_or_path": "some/folder", "width": 3}, "_name_or_path": "some"}')
    forget_paths(tmp_path)
    assert json.loads(told.read_text()) == {"text_config": {"width": 3}}


def test_the_card_names_the_photo_subjects(tmp_path: Path) -> None:
    told = tmp_path / "photos.json"
    assert "* Trained on: none\n" in card(told)
    told.write_text('{"trained": ["clock", "boot"], "kept_out": ["robot"]}')
    written = card(told)
    assert "* Trained on: clock, boot\n* Kept out, for `photo_db`: robot\n<!-- /photos -->" in written
    assert written.count("## ") == card(tmp_path / "nothing.json").count("## ") > 4
