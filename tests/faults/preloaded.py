"""What the process that children are forked from imports, once, on one thread: a fork has no other threads."""

import torch

import app.jobs.worker
import app.studio  # noqa: F401
import pipelines.base_models.single_file
import pipelines.methods.lora.recipe
import pipelines.training

torch.set_num_threads(1)
