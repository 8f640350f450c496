import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sr_data() -> Path:
    """The folder with `benchmark/`, `train/` and the VGG weights; tests that use it skip without it."""
    folder = os.environ.get("SR_DATA")
    if not folder:
        pytest.skip("SR_DATA is not set: it names the folder that holds benchmark/ and train/")
    if not (Path(folder) / "benchmark").is_dir():
        pytest.fail(f"SR_DATA={folder} has no benchmark/ folder")
    return Path(folder)
