"""This machine, the bases on it, and what is set for the whole studio."""
