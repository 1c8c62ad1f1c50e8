"""LoRA layers in a host. PEFT makes the layers; putting in and taking out by name is ours."""

from __future__ import annotations

import re
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer

from adapters.base import Plain
from adapters.errors import StudioError
from adapters.host import Host
from adapters.lora import diffusers_format
from adapters.lora.weights import LoraModule, LoraWeights

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FEED_FORWARD = ("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
CONVOLUTIONS = ("conv1", "conv2", "conv_shortcut")
_MAGNITUDE = "lora_magnitude_vector"
TEXT_ENCODER = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True)
class _Shells:
    """Layers that were taken out of a host and can be put in again under the same `signature`, with other weights."""

    signature: tuple[object, ...]
    layers: dict[str, LoraLayer]
    configs: dict[str, LoraConfig]
    """By component."""


_put_away: weakref.WeakKeyDictionary[torch.nn.Module, _Shells] = weakref.WeakKeyDictionary()  # by denoiser


class LoraAdapter(Plain):
    """LoRA on named layers of a host's components."""

    kind = "lora"

    def __init__(self, layers: Mapping[str, tuple[int, float]], *, rslora: bool = False,
                 dora: bool = False) -> None:
        """`layers` maps full layer names ('unet.….to_q') to (rank, alpha)."""
        self.layers = dict(layers)
        self.rslora = rslora
        self.dora = dora
        self._host: Host | None = None
        self._name = ""
        self._scaling: dict[str, float] = {}
        self._magnitudes: dict[str, torch.Tensor] = {}  # as trained, while the strength is not 1
        self._stored: LoraWeights | None = None
        self._found: dict[str, LoraLayer] = {}  # the layers it is in, by full name

    @classmethod
    def for_training(cls, host: Host, *, rank: int, alpha: float, targets: Sequence[str],
                     rslora: bool = False, dora: bool = False,
                     text_encoder: bool = False) -> LoraAdapter:
        """A fresh LoRA on every UNet layer whose name ends in one of `targets`.

        With `text_encoder` on the text encoders' attention too.

        Raises StudioError when nothing matches.
        """
        endings = tuple(f".{t}" for t in targets)
        names = [n for n in host.layers() if n.startswith("unet.") and n.endswith(endings)]
        if text_encoder:
            names += [n for n in host.layers() if n.startswith("text_encoder")
                      and n.endswith(tuple(f".{t}" for t in TEXT_ENCODER))]
        if not names:
            raise StudioError(f"The base has no layer named {' or '.join(targets)}; choose others.")
        return cls(dict.fromkeys(names, (rank, alpha)), rslora=rslora, dora=dora)

    @classmethod
    def from_weights(cls, weights: LoraWeights) -> LoraAdapter:
        """An adapter that holds `weights` and brings them into every host it is injected into."""
        modules = weights.modules.values()
        if len({m.rslora for m in modules}) > 1:
            weights = weights.plain()
            modules = weights.modules.values()
        adapter = cls(
            {k: (m.rank, m.alpha) for k, m in weights.modules.items()},
            rslora=any(m.rslora for m in modules), dora=any(m.magnitude is not None for m in modules),
        )
        adapter._stored = weights
        return adapter

    @classmethod
    def from_file(cls, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str],
                  _spec: Mapping[str, Any], file: str) -> LoraAdapter:
        """Read the studio's own file, which is a diffusers LoRA file with one more header."""
        return cls.from_weights(diffusers_format.decode(tensors, metadata, file))

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        """(tensors, metadata) of the studio's own file, without its record."""
        return diffusers_format.encode(self.weights())

    @property
    def spec(self) -> dict[str, Any]:
        """Rank and alpha by layer are in the file's own LoRA metadata; here what describes it."""
        ranks = sorted({r for r, _ in self.layers.values()})
        alphas = sorted({a for _, a in self.layers.values()})
        return {"ranks": ranks, "alphas": alphas, "rslora": self.rslora, "dora": self.dora,
                "layers": len(self.layers)}

    def inject(self, host: Host, name: str) -> None:
        """Put the layers in, with the stored weights or fresh (`up` zero: nothing changes yet)."""
        if self._host is not None:
            raise RuntimeError("This adapter is in a host already.")
        if self._stored is not None:
            self._stored.check_fits(host, name)
        if missing := sorted(set(self.layers) - set(host.layers())):
            raise StudioError(f"The base has no layer '{missing[0]}' for this LoRA; "
                              "choose the base that it was trained for.")
        # PEFT keeps adapters in module tables, where 'training' or 'a.b' cannot be keys.
        self._host, self._name = host, "adapter_" + name.replace(".", "_")
        if self._search(host):
            self._host = None
            raise RuntimeError(f"There is an adapter '{name}' in this host already.")
        if not self._put_back(host):
            self._make(host)
        self._found = self._search(host)
        self._scaling = {k: layer.scaling[self._name] for k, layer in self._found.items()}
        activate(host)
        if self._stored is not None:
            self.load_weights(self._stored)

    def _make(self, host: Host) -> None:
        for part, network in host.components.items():
            mine = {k[len(part) + 1:]: v for k, v in self.layers.items() if k.startswith(f"{part}.")}
            if mine:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Already found a `peft_config`")
                    inject_adapter_in_model(self._config(mine), network, self._name)

    @property
    def _signature(self) -> tuple[object, ...]:
        return self._name, self.rslora, tuple(sorted(self.layers.items()))

    def _put_back(self, host: Host) -> bool:
        """Put in the layers that the last adapter of the same layers left, which takes a tenth of making them.

        False where there are none, or where the base has moved or has other adapters since.
        """
        kept = _put_away.pop(host.unet, None)
        if self._stored is None or self.dora or kept is None or kept.signature != self._signature:
            return False
        places = {full: _place(host, full) for full in kept.layers}
        for full, layer in kept.layers.items():
            parent, leaf = places[full]
            base = layer.get_base_layer()
            if getattr(parent, leaf) is not base or layer.lora_A[self._name].weight.device != base.weight.device:
                return False
        for full, layer in kept.layers.items():
            setattr(*places[full], layer)
            layer.scaling[self._name] = layer.lora_alpha[self._name] / (
                layer.r[self._name] ** 0.5 if self.rslora else layer.r[self._name])
        for part, config in kept.configs.items():
            network: Any = host.components[part]
            network.peft_config = {**getattr(network, "peft_config", {}), self._name: config}
        return True

    def _config(self, layers: dict[str, tuple[int, float]]) -> LoraConfig:
        rank, alpha = next(iter(layers.values()))
        names = "|".join(re.escape(n) for n in layers)
        return LoraConfig(
            r=rank, lora_alpha=alpha, target_modules=f"(?:{names})",
            rank_pattern={f"^{n}": r for n, (r, _) in layers.items() if r != rank},
            alpha_pattern={f"^{n}": a for n, (_, a) in layers.items() if a != alpha},
            use_rslora=self.rslora, use_dora=self.dora,
        )

    def _injected(self) -> dict[str, LoraLayer]:
        if self._host is None:
            raise RuntimeError("This adapter is in no host.")
        return self._found

    def _search(self, host: Host) -> dict[str, LoraLayer]:
        return {
            f"{part}.{path}": module
            for part, network in host.components.items()
            for path, module in network.named_modules()
            if isinstance(module, LoraLayer) and self._name in module.lora_A
        }

    def eject(self) -> None:
        """Take the layers out; where no other adapter is left, the original layer comes back.

        A fresh adapter keeps what it has learned.
        """
        if self._host is None:
            return
        fresh = self._stored is None
        if fresh:
            self._stored = self.weights()
        self._magnitudes.clear()
        host, alone = self._host, True
        for full, layer in self._found.items():
            if set(layer.lora_A) == {self._name}:
                setattr(*_place(host, full), layer.get_base_layer())
            else:
                layer.delete_adapter(self._name)
                alone = False
        configs = {}
        for part, network in host.components.items():
            mine = getattr(network, "peft_config", None)
            if isinstance(mine, dict) and self._name in mine:
                configs[part] = mine.pop(self._name)
                if not mine:
                    del network.peft_config
        if alone and not fresh and not self.dora:
            _put_away[host.unet] = _Shells(self._signature, self._found, configs)
        self._host, self._found = None, {}
        activate(host)

    def set_strength(self, strength: float) -> None:
        """Scale the update: 0 is off, 1 as trained; beyond 1 exaggerates.

        DoRA's magnitudes go the same way, from the base's own to the trained ones.
        """
        for path, layer in self._injected().items():
            layer.scaling[self._name] = self._scaling[path] * strength
            if self._name in layer.lora_magnitude_vector:
                vector = layer.lora_magnitude_vector[self._name]
                trained = self._magnitudes.setdefault(path, vector.weight.detach().clone())
                weight = layer.get_base_layer().weight
                own = vector.get_weight_norm(weight, torch.zeros_like(weight), 0.0)
                with torch.no_grad():
                    vector.weight.copy_(torch.lerp(own.to(trained), trained, strength))

    def groups(self) -> dict[str, list[torch.nn.Parameter]]:
        """One group, 'lora'."""
        return {"lora": list(self._tensors().values())}

    def _tensors(self) -> dict[str, torch.nn.Parameter]:
        found: dict[str, torch.nn.Parameter] = {}
        for path, layer in self._injected().items():
            found[f"{path}.lora_A.weight"] = layer.lora_A[self._name].weight
            found[f"{path}.lora_B.weight"] = layer.lora_B[self._name].weight
            if self._name in layer.lora_magnitude_vector:
                found[f"{path}.{_MAGNITUDE}"] = layer.lora_magnitude_vector[self._name].weight
        return found

    def state(self) -> dict[str, torch.Tensor]:
        """Detached copies on the CPU, whatever the strength."""
        trained = {f"{path}.{_MAGNITUDE}": m for path, m in self._magnitudes.items()}
        return {k: v.detach().cpu().clone() for k, v in (self._tensors() | trained).items()}

    def load_state(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Copy `state()` of an adapter of the same layers into this one, at strength 1."""
        mine = self._tensors()
        if set(mine) != set(tensors):
            odd = sorted(set(mine) ^ set(tensors))[0]
            raise StudioError(f"The LoRA's tensors do not match its layers (at '{odd}'); "
                              "take a fresh copy of the file.")
        self.set_strength(1)
        self._magnitudes.clear()
        with torch.no_grad():
            for key, target in mine.items():
                target.copy_(tensors[key].reshape(target.shape))

    def weights(self) -> LoraWeights:
        """The learned weights, for export."""
        if self._host is None and self._stored is not None:
            return self._stored
        state = self.state()
        return LoraWeights({
            path: LoraModule(
                state[f"{path}.lora_A.weight"], state[f"{path}.lora_B.weight"], alpha, self.rslora,
                state[f"{path}.{_MAGNITUDE}"].flatten() if self.dora else None,
            )
            for path, (_, alpha) in self.layers.items()
        })

    def load_weights(self, weights: LoraWeights) -> None:
        """Fill the injected layers from `weights`."""
        tensors: dict[str, torch.Tensor] = {}
        for path, m in weights.modules.items():
            tensors[f"{path}.lora_A.weight"] = m.down
            tensors[f"{path}.lora_B.weight"] = m.up
            if m.magnitude is not None:
                tensors[f"{path}.{_MAGNITUDE}"] = m.magnitude
        self.load_state(tensors)


def _place(host: Host, full: str) -> tuple[torch.nn.Module, str]:
    """The module that holds the layer of that full name, and its name there."""
    part, path = full.split(".", 1)
    parent, _, leaf = path.rpartition(".")
    return host.components[part].get_submodule(parent), leaf


def activate(host: Host) -> None:
    """Make every injected LoRA of `host` active at once (PEFT keeps only the last one so)."""
    for network in host.components.values():
        for module in network.modules():
            if isinstance(module, LoraLayer):
                module.set_adapter(list(module.lora_A), inference_mode=True)
