"""Key-locked rank-one editing (Tewel et al., SIGGRAPH 2023, arXiv 2305.01644)."""

from adapters.perfusion.adapter import PerfusionAdapter
from adapters.perfusion.second_moment import SecondMoment

__all__ = ["PerfusionAdapter", "SecondMoment"]
