"""The starter: a small text-to-image base model that the project makes itself.

`world` draws captioned scenes, `train` learns the model from them stage by stage and `export` writes it as it
ships; `judge` holds the networks that are trained apart to measure it, `report` prints its figures, `samples`
draws the concepts that it never saw.
"""
