"""Textual inversion (Gal et al., arXiv 2208.01618): learned words, and their file formats."""

from adapters.tokens.adapter import TokensAdapter

__all__ = ["TokensAdapter"]
