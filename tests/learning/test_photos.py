"""Every method on real photos runs through, whatever it learns: two steps on one subject or scene.

SEMBLANCE_PHOTOS names their folder, on any of two levels: a folder of pictures is a subject, one with masks a scene.
With SEMBLANCE_FAULTS=full all of them are tried.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from adapters.studio_file import load
from app.verbs.cli import main
from pipelines.lab.dreambench import SUBJECTS
from pipelines.masks import find_masks
from pipelines.methods import METHODS, config_class
from pipelines.references import list_folder
from pipelines.starter.photos import VARIABLE, photo_folder

FULL = os.environ.get("SEMBLANCE_FAULTS") == "full"
SHORT = ["--preset", "fast", "--steps", "2", "--batch", "1", "--preview-every", "2", "--set", "preview_steps=1"]
QUICK = {"perfusion": ["--set", "captions=200"], "break-a-scene": ["--set", "prior_images=1"]}

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder of photos")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: what is made once for a base is made once."""
    return tmp_path_factory.mktemp("home")


def photos(method: str) -> list[Path]:
    """The folders that a method can learn from: scenes where it needs masks, else subjects."""
    top = photo_folder()
    assert top
    inside = [f for f in sorted([*top.glob("*/"), *top.glob("*/*/")]) if list_folder(f)]
    return [f for f in inside if any(find_masks(list_folder(f))) == config_class(method).needs_masks]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_through_on_real_photos(method: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = photos(method)
    if not folders:
        pytest.skip(f"{VARIABLE} has no {'masked scenes' if config_class(method).needs_masks else 'subjects'}")
    tried = folders if FULL else folders[:1]
    for folder in tried:
        name = f"{folder.name}-{method}"
        code = main(["train", "--method", method, "--name", name, "--class-noun", SUBJECTS.get(folder.name, "toy"),
                     "--images", str(folder), *SHORT, *QUICK.get(method, []), "--no-face", "--json",
                     "--home", str(home)])
        out, said = capsys.readouterr()
        assert code == 0, f"{folder.name}: {said[-1000:]}"
        answer = json.loads(out.splitlines()[-1])
        _, record = load(Path(answer["adapter"]))
        masks = find_masks(list_folder(folder))[0] if config_class(method).several else []
        assert (answer["steps"], record.method, len(record.concepts)) == (2, method, max(len(masks), 1))
        assert len(list((Path(answer["run"]) / "previews").glob("step00000002-*.png"))) == 2
    with capsys.disabled():
        print(f"\n{method}: {len(tried)} of {len(folders)} folders of photos ran through")
