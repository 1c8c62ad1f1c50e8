"""How figures are taken: readings of the judge, intervals."""

import torch
from PIL import Image

from pipelines.starter.judge import SceneJudge
from pipelines.starter.reading import Reading, Wanted, interval, outcomes, read


def _judge() -> SceneJudge:
    return SceneJudge(["cat", "dog", "car"], ["red", "blue"], ["beach", "snow"], ["drawn", "pixel"]).eval()


def _reading(cat: list[float], dog: list[float], *, scene: str = "beach", red: float = 0.0) -> Reading:
    """Logits over left, right, top, bottom."""
    objects = torch.tensor([cat, dog, [-9.0] * 4])
    place = torch.tensor([3.0, 1.0] if scene == "beach" else [1.0, 3.0])
    return Reading(_judge(), objects, torch.tensor([[red] * 4, [0.5] * 4]), place, torch.tensor([2.0, -2.0]))


def _pair(relation: str) -> Wanted:
    return Wanted(("cat", "dog"), (None, None), "beach", "drawn", relation)  # type: ignore[arg-type]


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


def test_a_margin_is_over_the_next_best_and_negative_when_another_is_clearer() -> None:
    seen = _reading([1, 2, 3, 4], [0] * 4, scene="snow")
    assert (seen.scene, seen.style) == ("snow", "drawn")
    assert (seen.scene_margin("snow"), seen.scene_margin("beach")) == (2.0, -2.0)
    assert (seen.style_margin("drawn"), seen.noun_logit("cat")) == (4.0, 4.0)


def test_the_judge_answers_for_four_regions() -> None:
    judge = _judge()
    said = judge(torch.zeros(2, 3, 96, 96))
    assert said["objects"].shape == (2, 3, 4) and said["paint"].shape == (2, 2, 4) and said["style"].shape == (2, 2)
    assert len(read(judge, [Image.new("RGB", (40, 40))] * 3)) == 3


def test_the_interval_holds_the_rate_and_narrows() -> None:
    few, many = interval([True] * 9 + [False]), interval([True] * 90 + [False] * 10)
    assert few and many and few[0] < 0.9 < few[1] and many[1] - many[0] < few[1] - few[0]
    assert interval([True] * 10)[1] == 1.0 and interval([]) is None  # type: ignore[index]
