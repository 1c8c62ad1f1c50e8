"""The README's pictures are made of what the browser tests left."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from pipelines.shipped import REPOSITORY, SAMPLES
from tests.app.screens import SCREENS, SHOTS, refresh


def test_a_shot_takes_the_place_of_its_screen_in_fewer_bytes_and_the_others_stay(tmp_path: Path) -> None:
    shots, screens = tmp_path / "shots", tmp_path / "screens"
    for folder in (shots, screens):
        folder.mkdir()
    with Image.open(SAMPLES / "koala" / "0.png") as koala:
        koala.convert("RGB").save(shots / "system-dark.png")
    (screens / "create.png").write_bytes(b"older")
    said = refresh(shots, screens)
    with Image.open(screens / "system.png") as made, Image.open(shots / "system-dark.png") as shot:
        assert (made.size, made.mode) == (shot.size, "P")
    assert (screens / "system.png").stat().st_size < (shots / "system-dark.png").stat().st_size
    assert (screens / "create.png").read_bytes() == b"older" and "create: there is no create.png" in said[2]
    assert sorted(p.name for p in screens.iterdir()) == ["create.png", "system.png"]


def test_every_screen_of_the_readme_is_made_of_a_shot() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert {p.stem for p in SCREENS.glob("*.png")} == set(SHOTS)
    assert all(f"docs/screens/{name}.png" in readme for name in SHOTS)
