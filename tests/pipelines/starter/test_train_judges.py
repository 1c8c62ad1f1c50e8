"""What the judges are taught."""

import numpy as np

from pipelines.lab import asked
from pipelines.starter import samples
from pipelines.starter.glyphs import COLOURS, Catalogue
from pipelines.starter.judge import REGIONS, SceneJudge
from pipelines.starter.scenes import SCENES
from pipelines.starter.styles import STYLES
from pipelines.starter.train_judges import GALLERY_SCENES, regions, targets
from pipelines.starter.world import World


def test_targets_name_the_halves_where_an_object_is() -> None:
    catalogue, rng = Catalogue(), np.random.default_rng(0)
    world = World(catalogue.trainable())
    side, stack, one = world.spec(rng, relation="side"), world.spec(rng, relation="stack"), world.spec(rng, noun="cat")
    named = [[REGIONS[r] for r in regions(s, k)] for s, k in ((side, 0), (side, 1), (stack, 0), (stack, 1), (one, 0))]
    assert named == [["left", "top", "bottom"], ["right", "top", "bottom"], ["left", "right", "top"],
                     ["left", "right", "bottom"], ["left", "right", "top", "bottom"]]
    judge = SceneJudge(catalogue.nouns, list(COLOURS), list(SCENES), list(STYLES))
    want = targets([side], judge).objects[0]
    first, second = (catalogue.nouns.index(p.individual.noun) for p in side.placements)
    assert want[first].tolist() == [1, 0, 1, 1] and want[second].tolist() == [0, 1, 1, 1] and want.sum() == 6


def test_the_gallery_stands_in_the_scenes_of_the_sample_sets_and_of_the_lab() -> None:
    assert set(GALLERY_SCENES) == {*samples.PLACES, *asked.PLACES}
