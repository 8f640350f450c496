"""Fixtures of several files. Those that take torch import it themselves: the other files need not wait for it."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.register_assert_rewrite("tests.tiny_homes", "tests.visitor")  # their fixtures are plugins of some tests


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
    import torch
    from safetensors.torch import save_file

    from sr.losses import VGG_BLOCKS, _build

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vgg")
    files = {}
    for network, blocks in VGG_BLOCKS.items():
        state = {f"features.{key}": value for key, value in _build(blocks, 5, blocks[-1]).state_dict().items()}
        files[network] = folder / f"{network}.safetensors"
        save_file(state, files[network])
    return files


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """Smooth random pictures."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def benchmark(tmp_path_factory, photos) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    for kind, size in (("HR", 96), ("LRx4", 24)):
        (folder / "Tiny" / kind).mkdir(parents=True)
        with Image.open(photos / "0.png") as image:
            image.resize((size, size)).save(folder / "Tiny" / kind / "a.png")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory, photos, benchmark) -> Path:
    """The folder of a finished run of 30 steps."""
    import train
    from tests import tiny

    out = tmp_path_factory.mktemp("runs") / "srresnet"
    arguments = [*tiny.SRRESNET, "--data", str(photos), "--out", str(out), "--iterations", "30"]
    assert train.main([*arguments, "--benchmark", str(benchmark), "--sets", "Tiny"]) == 0
    return out
