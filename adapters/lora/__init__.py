"""Low-rank adaptation (Hu et al., arXiv 2106.09685): weights, layers, and its file formats."""

from adapters.lora.adapter import LoraAdapter
from adapters.lora.weights import LoraModule, LoraWeights

__all__ = ["LoraAdapter", "LoraModule", "LoraWeights"]
