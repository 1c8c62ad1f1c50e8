"""What the starter is measured on: fixed prompts, packed scenes."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.starter import evaluation
from pipelines.starter.combinations import held_out_pair
from pipelines.starter.drawing import Order, scenes
from pipelines.starter.evaluation import SINGLES, pack, prompts, unpack
from pipelines.starter.glyphs import FONT_PATH, Catalogue
from pipelines.starter.styles import STYLES


def test_the_prompts_are_the_same_500_with_every_class_style_and_relation() -> None:
    asked = prompts()
    seen = [p for p in asked if p.group == "seen"]
    assert asked == prompts() and len(seen) == 500 and len(asked) == 620
    assert {p.wanted.nouns[0] for p in seen[:SINGLES]} == set(Catalogue().nouns)
    assert {p.wanted.style for p in seen} == set(STYLES)
    texts = " ".join(p.text for p in seen)
    assert all(f" {words} " in texts for words in ("to the left of", "to the right of", "above", "below"))


def test_seen_prompts_have_no_held_out_pair_and_the_others_one_each() -> None:
    for p in prompts():
        nouns, colours = p.wanted.nouns, p.wanted.colours
        pairs = [(c, n) for c, n in zip(colours, nouns, strict=True) if c] + ([nouns] if len(nouns) == 2 else [])
        unseen = [held_out_pair(*pair) for pair in pairs]
        assert unseen == [True] if p.group != "seen" else not any(unseen), p.text


@pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")
def test_packed_scenes_come_back_without_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PACKED", 10)
    monkeypatch.setattr(evaluation, "ACROSS", 5)
    pack(32, 5, tmp_path)
    pictures, captions = unpack(tmp_path)
    drawn, specs = scenes(Order(5 + evaluation._SCENE_SEED, 32, vary=False), 10)
    assert captions == [s.caption for s in specs] and len(set(captions)) == 10
    assert all(np.array_equal(np.asarray(p), d) for p, d in zip(pictures, drawn, strict=True))
