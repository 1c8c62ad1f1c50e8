"""Which text encoder a concept was learned with: its i* and v are directions among that encoder's answers."""

from __future__ import annotations

import hashlib

import torch

from adapters.host import Host

_KEPT = "encoder_hash"


def encoder_hash(host: Host) -> str:
    """First 16 hex digits of a SHA-256 over the text encoders' own weights in half precision, as they may be held.

    What adapters add does not count. '' where the weights do not tell: they are coarser than that, all tuned by an
    adapter, or not there at all.
    """
    if "full" in host.shared:
        return ""
    if _KEPT not in host.kept:
        host.kept[_KEPT] = _hash(host)
    return host.kept[_KEPT]


def _hash(host: Host) -> str:
    digest = hashlib.sha256()
    for encoder in host.text.encoders:
        for path, weight in sorted(encoder.named_parameters()):
            if ".lora_" in path:
                continue
            if weight.is_meta or weight.dtype not in (torch.float32, torch.float16):
                return ""
            digest.update(path.replace(".base_layer", "").encode())
            digest.update(weight.detach().half().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
