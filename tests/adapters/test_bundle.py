from __future__ import annotations

import pytest
import torch

from adapters.base import Dial
from adapters.bundle import BundleAdapter
from adapters.errors import StudioError
from adapters.full import FullAdapter
from adapters.host import Host
from adapters.tokens import TokensAdapter
from tests.adapters.lora.tools import QUERY, filled
from tests.adapters.perfusion import tools as perfusion
from tests.adapters.tools import anatomy, answer, same, twin


class Diary(TokensAdapter):
    """Writes down what is done to it."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__({})
        self.name, self.log = name, log

    def inject(self, host: Host, name: str) -> None:
        self.log.append(f"in {self.name} as {name}")

    def eject(self) -> None:
        self.log.append(f"out {self.name}")

    def set_strength(self, strength: float) -> None:
        self.log.append(f"{self.name} at {strength}")

    def on_prompt(self, host: Host, prompt: str, negative: str, guided: bool) -> None:
        self.log.append(f"{self.name} told {prompt}|{negative}|{guided}")


class Refuses(Diary):
    def inject(self, host: Host, name: str) -> None:
        raise StudioError("no")


def words(word: str = "<a>") -> TokensAdapter:
    return TokensAdapter({word: [torch.ones(1, 24)]})


def test_parts_go_in_in_order_and_come_out_backwards(host: Host) -> None:
    log: list[str] = []
    made = BundleAdapter({n: Diary(n, log) for n in ("x", "y", "z")})
    made.inject(host, "it")
    made.set_strength(0.5)
    made.on_prompt(host, "p", "n", True)
    made.eject()
    assert log == ["in x as it_x", "in y as it_y", "in z as it_z", "x at 0.5", "y at 0.5", "z at 0.5",
                   "x told p|n|True", "y told p|n|True", "z told p|n|True", "out z", "out y", "out x"]


def test_when_one_part_is_refused_those_before_it_come_out_again(host: Host) -> None:
    log: list[str] = []
    parts = {"x": Diary("x", log), "y": Diary("y", log), "no": Refuses("no", log), "z": Diary("z", log)}
    with pytest.raises(StudioError, match="no"):
        BundleAdapter(parts).inject(host, "it")
    assert log == ["in x as it_x", "in y as it_y", "out y", "out x"]


def test_a_refused_bundle_leaves_the_host_clean(host: Host) -> None:
    tree = anatomy(host)
    misfit = FullAdapter({"unet.nothing": torch.zeros(1)})
    with pytest.raises(StudioError, match="not for this base"):
        BundleAdapter({"words": words(), "lora": filled(host), "tuned": misfit}).inject(host, "it")
    assert anatomy(host) == tree


def test_together_they_say_what_each_alone_would_add(host: Host) -> None:
    other = twin(host)
    BundleAdapter({"words": words(), "lora": filled(host)}).inject(host, "it")
    filled(other).inject(other, "l")
    words().inject(other, "w")
    assert same(answer(host, "a <a>"), answer(other, "a <a>"))


def test_groups_state_and_spec_are_those_of_the_parts(host: Host) -> None:
    parts = {"words": words(), "lora": filled(host, {QUERY: (2, 1.0)})}
    made = BundleAdapter(parts)
    made.inject(host, "it")
    groups = made.groups()
    assert set(groups) == {"tokens", "lora"}
    assert [id(p) for p in groups["lora"]] == [id(p) for p in parts["lora"].groups()["lora"]]
    assert set(made.state()) == {"words/<a>.0", f"lora/{QUERY}.lora_A.weight", f"lora/{QUERY}.lora_B.weight"}
    assert made.spec == {"parts": {n: {"kind": p.kind, "spec": p.spec} for n, p in parts.items()}}


def test_a_state_goes_back_into_its_parts(host: Host) -> None:
    one, other = ({"words": words(), "lora": filled(host, seed=n)} for n in (0, 1))
    first, second, elsewhere = BundleAdapter(one), BundleAdapter(other), twin(host)
    first.inject(host, "it")
    second.inject(elsewhere, "it")
    assert not same(answer(host, "a <a>"), answer(elsewhere, "a <a>"))
    second.load_state(first.state())
    assert same(answer(host, "a <a>"), answer(elsewhere, "a <a>"))
    with pytest.raises(StudioError):
        second.load_state({k: t for k, t in first.state().items() if not k.startswith("words/")})


def test_dials_of_all_parts_turn_together(host: Host) -> None:
    one, two = perfusion.filled(host, "<a>", "cat"), perfusion.filled(host, "<b>", "dog", seed=1)
    made = BundleAdapter({"words": words("<c>"), "one": one, "two": two})
    assert set(made.dials()) == set(one.dials()) and all(isinstance(d, Dial) for d in made.dials().values())
    made.set_dial("bias", 0.4)
    assert (one.concept.bias, two.concept.bias) == (0.4, 0.4)
    with pytest.raises(StudioError, match="no 'hue' to turn"):
        made.set_dial("hue", 1.0)
    with pytest.raises(StudioError, match="no 'bias' to turn"):
        BundleAdapter({"words": words()}).set_dial("bias", 1.0)


def test_a_file_gives_each_part_its_own_tensors_and_settings(host: Host) -> None:
    made = BundleAdapter({"words": words(), "lora": filled(host)})
    tensors, metadata = made.to_file()
    again = BundleAdapter.from_file(tensors, metadata, made.spec, "f")
    assert [p.kind for p in again.parts.values()] == ["tokens", "lora"] and again.spec == made.spec
    other = twin(host)
    made.inject(host, "it")
    again.inject(other, "it")
    assert same(answer(host, "a <a>"), answer(other, "a <a>"))


@pytest.mark.parametrize("kind", ["future", "bundle"])
def test_a_part_of_an_unknown_kind_or_a_bundle_in_a_bundle_asks_for_an_update(kind: str) -> None:
    with pytest.raises(StudioError, match=f"'f' holds a '{kind}' part"):
        BundleAdapter.from_file({}, {}, {"parts": {"x": {"kind": kind, "spec": {}}}}, "f")


@pytest.mark.parametrize("spec", [{}, {"parts": 3}, {"parts": {"x": {}}},
                                  {"parts": {"x": {"kind": "lora", "spec": 1}}}])
def test_a_damaged_header_is_refused(spec: dict[str, object]) -> None:
    with pytest.raises(StudioError, match="header of 'f' is damaged"):
        BundleAdapter.from_file({}, {}, spec, "f")
