"""Pictures: the warm process that paints, what is under way, and what was made."""
