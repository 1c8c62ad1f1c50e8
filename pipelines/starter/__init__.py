"""The starter: a small text-to-image base model that the project makes itself.

`world` draws captioned scenes, `train` learns the model from them, `judge` holds the networks
that are trained apart to measure it, `report` prints its figures.
"""
