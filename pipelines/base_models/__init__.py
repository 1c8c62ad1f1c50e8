"""Base models: the starter, diffusers folders, single checkpoints and hub ids, as a Host.

`locate` finds and checks without torch; `load` loads.
"""
