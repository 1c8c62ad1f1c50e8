"""How cost grows is measured on what it is said to grow with."""

import pytest

from pipelines.speed import growth, running


def test_the_references_of_a_timed_run_are_as_many_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def run(folder, **_):  # type: ignore[no-untyped-def]
        seen.append(len(list((folder / "references").glob("*.png"))))
        raise StopIteration  # nothing is trained here

    monkeypatch.setattr(running, "train_run", run)
    for count in (1, 7):
        with pytest.raises(StopIteration):
            running.training_seconds(2, pictures=count)
    assert seen == [1, 7]


def test_a_picture_is_timed_with_every_word_in_use_and_the_base_is_as_before() -> None:
    found = growth.with_concepts((0, 2), pictures=1)
    assert list(found) == [0, 2] and all(seconds > 0 for seconds in found.values())


@pytest.mark.parametrize("method", ["lora", "break-a-scene"])
def test_a_timed_run_says_when_its_first_step_began(method: str) -> None:
    settings = {"prior_images": 4} if method == "break-a-scene" else {}
    told = running.training_seconds(2, method, preview_every=0, batch=1, **settings)
    assert 0 < told["first_step"] < told["total"] and told["count"] == 2
    assert told["steps"] < told["total"] and "first_preview" not in told
