"""From a draft to a queued run: what was put together is what will be learned."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import StudioError
from app.concepts.draft import Draft
from app.studio import Studio
from pipelines.run_config import RunConfig
from pipelines.shipped import SAMPLES


def koala(studio: Studio, **fields: object) -> Draft:
    draft = studio.drafts.new()
    for n in range(2):
        studio.drafts.add(draft.id, f"{n}.png", SAMPLES / "koala" / f"{n}.png")
    return studio.drafts.update(draft.id, **({"things": [{"name": "mykoala", "noun": "bear"}]} | fields))


def started(studio: Studio, draft: Draft, **options: object) -> tuple[Path, RunConfig]:
    folder = studio.home.runs / studio.teach(draft.id, **options)
    return folder, RunConfig.load(folder)


def test_a_draft_becomes_a_queued_run_of_its_name(studio: Studio) -> None:
    folder, config = started(studio, koala(studio), steps=7)
    assert (config.name, config.class_noun) == ("mykoala", "bear")
    assert (config.training.method, config.training.steps) == ("lora", 7)
    assert sorted(p.name for p in (folder / "references").iterdir()) == ["00.png", "01.png"]
    assert [j.state for j in studio.jobs()] == ["queued"]


def test_captions_name_the_concept_wherever_it_was_typed(studio: Studio) -> None:
    draft = koala(studio, suffix=", by day")
    first, second = draft.shots
    studio.drafts.change(draft.id, first.id, caption="MyKoala on grass")
    studio.drafts.change(draft.id, second.id, caption="sitting")
    folder, _ = started(studio, draft)
    assert [(folder / "references" / f"0{n}.txt").read_text() for n in range(2)] == [
        "[trigger] on grass, by day", "[trigger], sitting, by day"]


def test_a_draft_without_captions_leaves_them_to_the_method(studio: Studio) -> None:
    folder, _ = started(studio, koala(studio))
    assert not list((folder / "references").glob("*.txt"))


def test_several_things_are_learned_apart_and_the_run_has_all_their_names(studio: Studio, tmp_path: Path) -> None:
    draft = studio.drafts.new()
    scene = SAMPLES / "scenes" / "koala-firetruck"
    shot = studio.drafts.add(draft.id, "img.png", scene / "img.png")
    things = [{"name": "koala", "noun": "bear"}, {"name": "engine", "noun": "truck"}]
    draft = studio.drafts.update(draft.id, things=things)
    for n, thing in enumerate(draft.things):
        studio.drafts.set_mask(draft.id, shot.id, thing.id, scene / f"mask{n}.png")
    folder, config = started(studio, draft, method="break-a-scene")
    assert config.name == "koala-engine"
    assert [(c.name, c.noun) for c in config.concepts] == [("koala", "bear"), ("engine", "truck")]
    for n in range(2):
        kept, given = (Image.open(p).convert("L") for p in (folder / "masks" / f"00-{n}.png", scene / f"mask{n}.png"))
        assert kept.tobytes() == given.tobytes()


def test_a_queued_run_stays_as_it_was_whatever_becomes_of_its_draft(studio: Studio) -> None:
    draft = studio.drafts.new()
    scene = SAMPLES / "scenes" / "koala-firetruck"
    shot = studio.drafts.add(draft.id, "img.png", scene / "img.png").id
    draft = studio.drafts.update(draft.id, things=[{"name": "koala", "noun": "bear"}])
    thing = draft.things[0]
    studio.drafts.set_mask(draft.id, shot, thing.id, scene / "mask0.png")
    studio.drafts.change(draft.id, shot, caption="[trigger] on grass")
    settings = {"steps": 7}
    folder, config = started(studio, draft, **settings)
    frozen = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {Path("config.json"), Path("references/00.png"), Path("references/00.txt"), Path("masks/00-0.png")
            } <= set(frozen)

    def unchanged() -> bool:
        return frozen == {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    settings["steps"] = 9
    studio.set_offline(True)
    studio.drafts.change(draft.id, shot, caption="another one", crop=(0.1, 0.1, 0.9, 0.9), flipped=True)
    studio.drafts.set_mask(draft.id, shot, thing.id, scene / "mask1.png")
    studio.drafts.update(draft.id, prefix="a drawing of", things=[{"id": thing.id, "name": "other", "noun": "dog"}])
    assert unchanged()
    other, changed = started(studio, studio.drafts.get(draft.id), **settings)
    assert (changed.name, changed.training.steps, changed.offline) == ("other", 9, True)
    for name in ("config.json", "references/00.png", "references/00.txt", "masks/00-0.png"):
        assert (other / name).read_bytes() != frozen[Path(name)], f"{name}: nothing would have been noticed"
    studio.drafts.set_mask(draft.id, shot, thing.id, None)
    studio.drafts.remove(draft.id, shot)
    studio.drafts.delete(draft.id)
    assert unchanged() and RunConfig.load(folder) == config


def test_a_method_of_one_thing_refuses_several(studio: Studio) -> None:
    draft = koala(studio, things=[{"name": "a", "noun": "bear"}, {"name": "b", "noun": "cat"}])
    with pytest.raises(StudioError, match="one concept at a time"):
        studio.teach(draft.id, method="lora")
    assert studio.jobs() == [] and not list(studio.home.runs.iterdir())
