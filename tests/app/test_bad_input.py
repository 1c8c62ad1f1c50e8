"""Faults that a person can cause: one sentence, exit code 2, and nothing that existed is harmed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import StudioError
from app.arguments import parse_adapter
from app.home import Home
from app.jobs import preparing
from app.studio import Studio
from app.verbs import train_verb
from app.verbs.cli import main
from pipelines import extras
from pipelines.run_config import RunConfig
from pipelines.shipped import REPOSITORY


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(Home.open(str(tmp_path / "home")))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for n in range(3):
        Image.new("RGB", (64, 64), (40 * n, 90, 120)).save(folder / f"{n}.png")
    return folder


def _train(home: Path, images: Path, capsys: pytest.CaptureFixture[str], **changes: str) -> str:
    options = {"--name": "cat1", "--class-noun": "cat", "--images": str(images), **changes}
    arguments = ["--home", str(home), "train", *(part for pair in options.items() for part in pair)]
    assert main(arguments) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ") and "Traceback" not in message
    assert not any((home / "runs").iterdir())
    return message


@pytest.mark.parametrize(("changes", "says"), [
    ({"--name": "../x"}, "cannot be a name"),
    ({"--name": "a/b"}, "cannot be a name"),
    ({"--name": " "}, "no name"),
    ({"--class-noun": "  "}, "class noun is empty"),
    ({"--class-noun": "<b>"}, "cannot be a class noun"),
    ({"--method": "magic"}, "no method 'magic'"),
    ({"--preset": "huge"}, "no preset 'huge'"),
    ({"--steps": "0"}, "'steps' cannot be 0"),
    ({"--base": "/nowhere/model"}, "No base model"),
])
def test_train_refuses_with_one_sentence(tmp_path: Path, pictures: Path, changes: dict[str, str],
                                         says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in _train(tmp_path / "home", pictures, capsys, **changes)


@pytest.mark.parametrize(("options", "says"), [
    (["--memory", "6"], "no settings for 6 GB"),
    (["--set", "optimizer=sgd"], "'optimizer' cannot be sgd"),
    (["--method", "perfusion", "--set", "quantize=4bit"], "must be whole"),
    (["--set", "optimizer=prodigy"], "pip install prodigyopt"),
    (["--tensorboard"], "pip install tensorboard"),
])
def test_train_refuses_settings_with_one_sentence_and_leaves_no_run(
        tmp_path: Path, pictures: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    home = tmp_path / "home"
    assert main(["--home", str(home), "train", "--name", "cat1", "--class-noun", "cat", "--images", str(pictures),
                 *options]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ") and "\n" not in message and says in message
    assert not any((home / "runs").iterdir())


def test_memory_and_logs_asked_for_on_the_command_line_are_in_the_runs_settings(
        tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    seen: list[RunConfig] = []

    def stop_here(_studio: Studio, folder: Path, _report: object) -> dict[str, object]:
        seen.append(RunConfig.load(folder))
        raise StudioError("far enough")

    monkeypatch.setattr(train_verb, "_train_here", stop_here)
    monkeypatch.setattr(preparing, "find_family", lambda *_, **__: "sd1")
    for options in ([], ["--memory", "8", "--tensorboard"]):
        assert main(["--home", str(tmp_path / f"home{len(seen)}"), "train", "--name", "cat1", "--class-noun", "cat",
                     "--images", str(pictures), *options]) == 2
    plain, fitted = seen
    assert (plain.tensorboard, plain.training.batch, plain.training.gradient_checkpointing) == (False, 2, False)
    assert (fitted.tensorboard, fitted.training.batch, fitted.training.gradient_checkpointing) == (True, 1, True)


def test_train_refuses_a_folder_without_pictures(tmp_path: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    assert "no pictures" in _train(tmp_path / "home", tmp_path / "none", capsys)


def test_train_refuses_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not a folder" in _train(tmp_path / "home", tmp_path / "gone", capsys)


def test_train_refuses_a_truncated_picture(tmp_path: Path, pictures: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    whole = (pictures / "1.png").read_bytes()
    (pictures / "1.png").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in _train(tmp_path / "home", pictures, capsys)


def test_train_refuses_a_video_named_png(tmp_path: Path, pictures: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "1.png").write_bytes(b"\x00\x00\x00\x18ftypmp42" + os.urandom(4000))
    assert "not a PNG" in _train(tmp_path / "home", pictures, capsys)


def test_train_refuses_a_folder_that_is_no_model(tmp_path: Path, pictures: Path,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    message = _train(tmp_path / "home", pictures, capsys, **{"--base": str(pictures)})
    assert "model_index.json" in message


def test_a_taken_name_is_refused_and_the_adapter_stays(studio: Studio, pictures: Path) -> None:
    there = studio.library.folder / "Cat1.safetensors"
    there.write_bytes(b"precious")
    with pytest.raises(StudioError, match="a concept 'cat1' already"):
        studio.prepare_run(sorted(pictures.iterdir()), "cat1", "cat")
    assert there.read_bytes() == b"precious"


def test_a_waiting_run_holds_its_name(studio: Studio, pictures: Path) -> None:
    studio.start_training(sorted(pictures.iterdir()), "cat1", "cat")
    with pytest.raises(StudioError, match="already"):
        studio.start_training(sorted(pictures.iterdir()), "CAT1", "cat")


def test_generate_names_the_missing_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--home", str(tmp_path), "--adapter", "ghost", "--prompt", "x", "--out",
                 str(tmp_path / "x.png")]) == 2
    assert "no adapter 'ghost'" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("text", ["a:b", "a:nan", "a:inf", "a:99"])
def test_a_weight_must_be_a_sensible_number(text: str) -> None:
    with pytest.raises(StudioError, match="NAME:WEIGHT"):
        parse_adapter(text)


def test_import_refuses_what_is_no_adapter(tmp_path: Path, studio: Studio) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(b"PK\x03\x04 not an adapter at all")
    with pytest.raises(StudioError, match="not a whole safetensors file"):
        studio.import_file(file)
    assert not list(studio.library.folder.iterdir())


def test_an_unwritable_home_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["list", "--home", str(tmp_path / "file" / "home")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_home_stands_before_or_after_the_verb_and_json_is_the_last_line(tmp_path: Path) -> None:
    for arguments in (["--home", str(tmp_path), "--json", "list"], ["list", "--json", "--home", str(tmp_path)]):
        done = subprocess.run([sys.executable, "-m", "app", *arguments], cwd=REPOSITORY, text=True,
                              capture_output=True, check=True)
        assert json.loads(done.stdout.splitlines()[-1]) == {"adapters": []}


def test_beyond_loopback_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--home", str(tmp_path), "--host", "0.0.0.0", "--port", "1"]) == 2
    assert "nobody has an account yet" in capsys.readouterr().err
