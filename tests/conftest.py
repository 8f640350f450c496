import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sr.losses import VGG_BLOCKS, _build


@pytest.fixture(scope="session")
def sr_data() -> Path:
    """The folder with `benchmark/`, `train/` and the VGG weights; tests that use it skip without it."""
    folder = os.environ.get("SR_DATA")
    if not folder:
        pytest.skip("SR_DATA is not set: it names the folder that holds benchmark/ and train/")
    if not (Path(folder) / "benchmark").is_dir():
        pytest.fail(f"SR_DATA={folder} has no benchmark/ folder")
    return Path(folder)


@pytest.fixture(scope="session")
def vgg_files(tmp_path_factory) -> dict[str, Path]:
    """Random weights in the layout of torchvision's VGG16 and VGG19, by the network's name."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vgg")
    files = {}
    for network, blocks in VGG_BLOCKS.items():
        state = {f"features.{key}": value for key, value in _build(blocks, 5, blocks[-1]).state_dict().items()}
        files[network] = folder / f"{network}.safetensors"
        save_file(state, files[network])
    return files
