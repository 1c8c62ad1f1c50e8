"""What a training will most likely take, by how earlier ones went on this machine. Imports no torch."""

from __future__ import annotations

from adapters.errors import StudioError
from adapters.identity import Family
from app.home import Home
from app.jobs.job import ACTIVE
from app.jobs.runs import view
from app.jobs.store import JobStore
from pipelines.estimate import Estimate, estimate
from pipelines.methods.common import TrainingConfig
from pipelines.run_config import RunConfig

MOST_LOOKED_AT = 20  # earlier trainings, the newest first


def likely(home: Home, store: JobStore, training: TrainingConfig, base: str, family: Family) -> Estimate:
    """The estimate of a training, by the pace of the last one of its method and base where there was one."""
    ended = [j for j in store.all() if j.kind == "train" and j.state not in ACTIVE]
    for job in ended[:MOST_LOOKED_AT]:
        try:
            config = RunConfig.load(home.runs / job.id)
        except StudioError:  # a folder that somebody emptied says nothing about pace
            continue
        seconds = view(home.runs / job.id).seconds_per_step
        if seconds and (config.base, config.training.method) == (base, training.method):
            pictures = config.training.batch * config.training.accumulate
            return estimate(training, family, seconds / pictures, job.name)
    return estimate(training, family)
