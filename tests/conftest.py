import os
from pathlib import Path

import pytest
import torch

# Two test processes on two cores are quicker than one that fights over both.
torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))


@pytest.fixture(scope="session")
def sr_data() -> Path:
    """The folder with `benchmark/`, `train/` and the VGG weights; tests that use it skip without it."""
    folder = os.environ.get("SR_DATA")
    if not folder:
        pytest.skip("SR_DATA is not set: it names the folder that holds benchmark/ and train/")
    if not (Path(folder) / "benchmark").is_dir():
        pytest.fail(f"SR_DATA={folder} has no benchmark/ folder")
    return Path(folder)
