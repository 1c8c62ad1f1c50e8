"""The adapters that a person has."""
