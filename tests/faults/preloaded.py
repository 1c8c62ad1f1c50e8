"""What the process that children are forked from imports, once, on one thread: a fork has no other threads."""

from importlib import import_module

import torch

for name in ("app.jobs.worker", "app.studio", "pipelines.training", "pipelines.methods.lora.recipe"):
    import_module(name)
torch.set_num_threads(1)
