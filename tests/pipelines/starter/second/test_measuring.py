"""How figures are taken: prompts, readings of the judge, intervals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.starter.glyphs import COLOURS, FONT_PATH
from pipelines.starter.second import evaluation
from pipelines.starter.second.combinations import held_out_pair
from pipelines.starter.second.drawing import Order, scenes
from pipelines.starter.second.evaluation import SINGLES, pack, prompts, unpack
from pipelines.starter.second.glyphs import Catalogue
from pipelines.starter.second.judge import REGIONS, SceneJudge
from pipelines.starter.second.reading import Reading, Wanted, interval, outcomes, read
from pipelines.starter.second.scenes import SCENES
from pipelines.starter.second.styles import STYLES
from pipelines.starter.second.train_judges import regions, targets
from pipelines.starter.second.world import World


def _judge() -> SceneJudge:
    return SceneJudge(["cat", "dog", "car"], ["red", "blue"], ["beach", "snow"], ["drawn", "pixel"]).eval()


def _reading(cat: list[float], dog: list[float], *, scene: str = "beach", red: float = 0.0) -> Reading:
    """Logits over left, right, top, bottom."""
    objects = torch.tensor([cat, dog, [-9.0] * 4])
    return Reading(_judge(), objects, torch.tensor([[red] * 4, [0.5] * 4]), scene, "drawn")


def _pair(relation: str) -> Wanted:
    return Wanted(("cat", "dog"), (None, None), "beach", "drawn", relation)  # type: ignore[arg-type]


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


def test_sides_are_judged_by_which_half_has_which_object() -> None:
    right_way = _reading([5, -5, 1, 1], [-5, 5, 1, 1])
    wrong_way = _reading([-5, 5, 1, 1], [5, -5, 1, 1])
    assert outcomes([_pair("side")] * 2, [right_way, wrong_way])["sides"] == [True, False]
    above, below = _reading([1, 1, 5, -5], [1, 1, -5, 5]), _reading([1, 1, -5, 5], [1, 1, 5, -5])
    assert outcomes([_pair("stack")] * 2, [above, below])["stacks"] == [True, False]


def test_sides_are_taken_only_where_both_objects_are_there() -> None:
    missing = _reading([5, -5, 1, 1], [-20, -20, -20, -20])
    found = outcomes([_pair("side")], [missing])
    assert found["both"] == [False] and found["sides"] == [] and found["class"] == []


def test_class_colour_scene_and_style_are_read_from_single_objects() -> None:
    want = Wanted(("cat",), ("red",), "beach", "pixel", "side")
    found = outcomes([want, want], [_reading([5] * 4, [0] * 4, red=3.0),
                                    _reading([0] * 4, [5] * 4, scene="snow", red=-3.0)])
    assert (found["class"], found["colour"], found["scene"], found["style"]) == (
        [True, False], [True, False], [True, False], [False, False])


def test_the_judge_answers_for_four_regions() -> None:
    judge = _judge()
    said = judge(torch.zeros(2, 3, 96, 96))
    assert said["objects"].shape == (2, 3, 4) and said["paint"].shape == (2, 2, 4) and said["style"].shape == (2, 2)
    assert len(read(judge, [Image.new("RGB", (40, 40))] * 3)) == 3


def test_targets_name_the_halves_where_an_object_is() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue, catalogue.trainable())
    side, stack, one = world.spec(rng, relation="side"), world.spec(rng, relation="stack"), world.spec(rng, noun="cat")
    named = [[REGIONS[r] for r in regions(s, k)] for s, k in ((side, 0), (side, 1), (stack, 0), (stack, 1), (one, 0))]
    assert named == [["left", "top", "bottom"], ["right", "top", "bottom"], ["left", "right", "top"],
                     ["left", "right", "bottom"], ["left", "right", "top", "bottom"]]
    judge = SceneJudge(catalogue.nouns, list(COLOURS), list(SCENES), list(STYLES))
    want = targets([side], judge).objects[0]
    first, second = (catalogue.nouns.index(p.individual.noun) for p in side.placements)
    assert want[first].tolist() == [1, 0, 1, 1] and want[second].tolist() == [0, 1, 1, 1] and want.sum() == 6


def test_the_interval_holds_the_rate_and_narrows() -> None:
    few, many = interval([True] * 9 + [False]), interval([True] * 90 + [False] * 10)
    assert few and many and few[0] < 0.9 < few[1] and many[1] - many[0] < few[1] - few[0]
    assert interval([True] * 10)[1] == 1.0 and interval([]) is None  # type: ignore[index]


@pytest.mark.skipif(not FONT_PATH.exists(), reason="fonts-noto-color-emoji is not here")
def test_packed_scenes_come_back_without_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PACKED", 10)
    monkeypatch.setattr(evaluation, "ACROSS", 5)
    pack(32, 5, tmp_path)
    pictures, captions = unpack(tmp_path)
    drawn, specs = scenes(Order(5 + evaluation._SCENE_SEED, 32, vary=False), 10)
    assert captions == [s.caption for s in specs] and len(set(captions)) == 10
    assert all(np.array_equal(np.asarray(p), d) for p, d in zip(pictures, drawn, strict=True))
