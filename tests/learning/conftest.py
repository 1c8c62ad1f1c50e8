"""What is taught here may use the cores that no other test has."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def all_cores_of_mine() -> Iterator[None]:
    """The fast tests run on one thread each; painting here may use all cores, shared with other workers."""
    before = torch.get_num_threads()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    torch.set_num_threads(max((os.cpu_count() or 1) // workers, 1))
    yield
    torch.set_num_threads(before)
