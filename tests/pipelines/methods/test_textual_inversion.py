from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from adapters.host import Host
from pipelines.methods.textual_inversion.config import Config
from pipelines.methods.textual_inversion.recipe import build
from tests.adapters.tools import ENDS, anatomy, twin
from tests.pipelines.tools import (
    begin,
    class_images,
    equal,
    lesson,
    run,
    states_with_and_without_checkpointing,
    unbroken_and_resumed,
)


def settings(**changes: Any) -> Config:
    return Config(**{"steps": 4, "batch": 2, "learning_rate": 5e-3, "buckets": False, **changes})


@pytest.mark.parametrize("vectors", [1, 3])
def test_only_the_words_rows_change(host: Host, vectors: int) -> None:
    tree = anatomy(host)
    made = begin(host, settings(vectors=vectors), lesson("mycat"))
    start = made.recipe.adapter.state()
    run(made)
    end = made.recipe.adapter.state()
    assert list(end) == ["<mycat>.0"] and end["<mycat>.0"].shape == (vectors, 24)
    assert (end["<mycat>.0"] != start["<mycat>.0"]).any(1).all()
    made.recipe.adapter.eject()
    assert anatomy(host) == tree


def test_every_prompt_has_all_vectors_of_the_word_and_never_its_noun(host: Host) -> None:
    made = begin(host, settings(vectors=3, batch=32), lesson("mycat"))
    tokens = made.samples.sample(made.generator, 32).text
    assert ((tokens.slots >= 0).sum(1) == 3).all()
    assert not (tokens.ids == host.text.pieces("cat")[0]).any()


def test_no_decay_and_one_phase_at_the_rate(host: Host) -> None:
    made = begin(host, settings(schedule="constant"), lesson("mycat"))
    watch = run(made)
    assert [e["name"] for e in watch.of("phase")] == ["word"]
    assert [(g["lr"], g["weight_decay"]) for g in made.optimizer.param_groups] == [(5e-3, 0.0)]


@pytest.mark.parametrize("options", [{}, {"vectors": 2, "accumulate": 2, "norm_prior": True, "prior_weight": 1.0,
                                          "schedule": "linear"}])
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(host: Host, stop: int, options: dict[str, Any]) -> None:
    whole, again = unbroken_and_resumed(host, settings(**options), lesson("mycat"), stop)
    assert equal(again.recipe.adapter.state(), whole.recipe.adapter.state())


@pytest.mark.parametrize(("rate", "share"), [(1e-3, 0.1), (5e-3, 0.5), (0.02, 1.0)])
def test_the_norm_prior_moves_lengths_by_its_share_along_the_vector(host: Host, rate: float, share: float) -> None:
    """|v| <- |v| + lambda (usual - |v|), lambda = min(1, 100 lr)"""
    recipe = build(host, settings(norm_prior=True, learning_rate=rate, vectors=2), lesson("mycat"))
    row, = recipe.adapter.groups()["tokens"]
    row.data = torch.tensor([[3.0] + [0.0] * 23, [0.0, -0.1] + [0.0] * 22])
    usual = float(host.text.embedding().weight.norm(dim=1).median())
    assert recipe.stepped is not None
    recipe.stepped()
    assert row[0, 0].item() == pytest.approx(3 + share * (usual - 3), rel=1e-6)
    assert row[1, 1].item() == pytest.approx(-(0.1 + share * (usual - 0.1)), rel=1e-6)
    assert torch.count_nonzero(row) == 2


def test_each_encoder_has_its_own_usual_length(host: Host) -> None:
    second = CLIPTextModelWithProjection(CLIPTextConfig(
        vocab_size=len(host.tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=8, **ENDS))
    second.get_input_embeddings().weight.data.mul_(50)
    two = Host(host.identity.model_copy(update={"family": "sdxl"}), {**twin(host).components, "text_encoder_2": second},
               host.tokenizer, host.vae, host.scheduler, host.tokenizer)
    recipe = build(two, settings(norm_prior=True, learning_rate=0.5), lesson("mycat", "mydog"))
    assert recipe.stepped is not None
    recipe.stepped()
    for n, row in enumerate(recipe.adapter.groups()["tokens"]):
        usual = two.text.embedding(n % 2).weight.norm(dim=1).median()
        torch.testing.assert_close(row.norm(dim=1), usual.expand(1))


def test_class_images_stand_under_the_noun_alone(host: Host) -> None:
    asked: list[tuple[str, int]] = []

    def painted(noun: str, count: int) -> Any:
        asked.append((noun, count))
        return class_images(noun, count)

    made = begin(host, settings(prior_weight=1.0, prior_images=60), lesson("mycat", painted=painted))
    assert asked == [("cat", 8)]  # never more than the run looks at: 4 steps of 2
    batch = made.samples.sample(made.generator, 3)
    assert batch.prior == 3 and (batch.text.slots[:3] >= 0).any(1).all() and (batch.text.slots[3:] < 0).all()


def test_gradient_checkpointing_gives_the_same_word(host: Host) -> None:
    assert equal(*states_with_and_without_checkpointing(host, lambda at: begin(at, settings(), lesson("mycat"))))
