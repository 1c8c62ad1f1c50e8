"""One LoRA after another: the layers of the last are put in again where the next has the same."""

from __future__ import annotations

import pytest
import torch

from adapters.host import Host
from adapters.lora import LoraAdapter
from adapters.lora.adapter import _put_away
from tests.adapters.lora.tools import MIXED, QUERY, filled, output


def test_one_after_another_of_the_same_layers_says_what_it_says_alone(host: Host, monkeypatch: pytest.MonkeyPatch
                                                                      ) -> None:
    base, tree = output(host), repr(host.unet)
    first, second = (filled(host, seed=n) for n in (1, 2))
    alone = []
    for adapter in (first, second):
        _put_away.clear()  # as in a base that has seen none
        adapter.inject(host, "a")
        alone.append(output(host))
        adapter.eject()
    made = []
    monkeypatch.setattr(LoraAdapter, "_make", lambda self, host: made.append(self))
    for n in (0, 1, 0):
        (first, second)[n].inject(host, "a")
        assert torch.equal(output(host), alone[n])
        (first, second)[n].set_strength(0.3)
        (first, second)[n].eject()
        assert torch.equal(output(host), base) and repr(host.unet) == tree and not hasattr(host.unet, "peft_config")
    assert not made and not torch.equal(alone[0], alone[1])


@pytest.mark.parametrize("change", [{QUERY: (3, 2.0)}, {QUERY: (4, 1.0)}, {}, None])
def test_layers_of_another_kind_are_made_anew(host: Host, change: dict[str, tuple[int, float]] | None) -> None:
    """Another rank, another alpha, other layers, another rule of scale."""
    others = {QUERY: MIXED[QUERY]} if change == {} else {**MIXED, **(change or {})}
    first, second = filled(host, seed=1), filled(host, others, rslora=change is None, seed=2)
    _put_away.clear()
    second.inject(host, "a")
    alone = output(host)
    second.eject()
    _put_away.clear()
    first.inject(host, "a")
    first.eject()
    second.inject(host, "a")
    assert torch.equal(output(host), alone)


def test_layers_that_were_put_away_do_not_come_over_another_adapter(host: Host) -> None:
    first, second = (filled(host, seed=n) for n in (1, 2))
    first.inject(host, "a")
    first.eject()
    second.inject(host, "b")
    only = output(host)
    first.inject(host, "a")
    both = output(host)
    second.eject()
    first.eject()
    first.inject(host, "a")
    second.inject(host, "b")
    assert torch.allclose(output(host), both, atol=1e-6) and not torch.allclose(both, only, atol=1e-4)
