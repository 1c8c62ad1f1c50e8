"""What a process costs is measured, and both sides are told the same."""

import json
import sys
from pathlib import Path

import pytest

from pipelines.speed import peers


def test_the_peak_of_a_process_is_its_own_resident_memory(tmp_path: Path) -> None:
    idle = peers.run([sys.executable, "-c", "pass"], tmp_path)
    code = "import time; b = bytearray(b'x' * 200_000_000); time.sleep(0.5)"
    full = peers.run([sys.executable, "-c", code], tmp_path)
    assert idle.peak_bytes and full.peak_bytes
    assert 190e6 <= full.peak_bytes - idle.peak_bytes <= 450e6  # the literal and its copy
    assert 0 < full.seconds < 30


def test_a_process_that_fails_is_said_so_with_its_last_line(tmp_path: Path) -> None:
    cost = peers.run([sys.executable, "-c", "import sys; sys.exit('no such option')"], tmp_path)
    assert cost.peak_bytes is None and cost.error == "no such option"


@pytest.mark.parametrize("pair", peers.PAIRS, ids=lambda p: p.method)
def test_both_sides_are_told_the_same(pair: peers.Pair) -> None:
    here, load = Path("x"), peers.Load("starter", 70, 3)
    theirs = peers.peer_command(pair, here / pair.script, load, here / "images", here / "out")
    ours = peers.our_command(pair, load, here / "images", here / "home")
    assert {"--max_train_steps=70", "--train_batch_size=3", "--resolution=256"} <= set(theirs)
    assert ours[ours.index("--steps") + 1] == "70" and ours[ours.index("--batch") + 1] == "3"
    rate = next(o for o in theirs if o.startswith("--learning_rate=")).partition("=")[2]
    assert f"learning_rate={rate}" in ours
    assert any(str(here / "images") in o for o in theirs) and str(here / "images") in ours


def test_a_peer_that_cannot_run_is_a_row_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for script in (p.script for p in peers.PAIRS):
        (tmp_path / script).write_text("import sys\nsys.exit(0 if '--help' in sys.argv else 'no such version')")
    monkeypatch.setattr(peers, "our_command", lambda *a: [sys.executable, "-c", "pass"])
    monkeypatch.setattr(peers, "imports", lambda script: [sys.executable, "-c", "pass"])
    row = peers.compare(peers.LORA, tmp_path, peers.Load(steps=3))
    assert row["theirs"]["error"] == "no such version" and "time" not in row  # type: ignore[index]


def test_figures_stand_beside_those_of_other_bases_and_in_the_place_of_older_ones(tmp_path: Path) -> None:
    kept = tmp_path / "peers.json"
    for base, time in (("starter", 0.9), ("sd1", 0.7), ("starter", 0.5)):
        peers.keep([{"base": base, "time": time}], base, kept)
    told = json.loads(kept.read_text("utf-8"))
    assert [(r["base"], r["time"]) for r in told["rows"]] == [("sd1", 0.7), ("starter", 0.5)]
    kept.write_text(json.dumps({**told, "machine": "another"}))
    peers.keep([{"base": "sd1", "time": 0.6}], "sd1", kept)
    assert [r["base"] for r in json.loads(kept.read_text("utf-8"))["rows"]] == ["sd1"]
