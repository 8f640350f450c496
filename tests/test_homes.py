"""The registry of the public homes."""

import re
from pathlib import Path

import pytest

from sr.homes import HOMES, file_checksum


def test_registry_is_consistent():
    counts = {name: len(home.files) for name, home in HOMES.items()}
    assert counts == {"set5": 10, "set14": 28, "bsd100": 200, "bsds300-train": 200, "div2k": 800}
    assert len({home.folder for home in HOMES.values()}) == len(HOMES)
    for name, home in HOMES.items():
        assert all(address.startswith("https://") and not address.endswith("/") for address in home.addresses)
        assert (home.archive is None) == (set(home.sources) == set(home.files))
        if home.archive:
            assert re.fullmatch("[0-9a-f]{64}", home.archive.sha256)
        if name != "div2k":  # no checksums of its images are known
            assert all(re.fullmatch("[0-9a-f]{16}", checksum) for checksum in home.files.values())
            assert len(set(home.files.values())) == len(home.files)
    for name in ("set5", "set14", "bsd100"):
        hr, lr = ({Path(file).name for file in HOMES[name].files if file.startswith(kind)} for kind in ("HR/", "LRx4/"))
        assert hr == lr == {f"img_{i:03}.png" for i in range(1, len(hr) + 1)}
    assert HOMES["set14"].sources["LRx4/img_014.png"] == "Set14/image_SRF_4/img_014_SRF_4_LR.png"


@pytest.mark.data
@pytest.mark.parametrize("name", ["set5", "set14", "bsd100"])
def test_pixels_of_the_real_benchmark_images(sr_data, name):
    home = HOMES[name]
    for file, checksum in home.files.items():
        home.check(sr_data / home.folder / file, checksum)


@pytest.mark.data
def test_bytes_of_the_real_training_images(sr_data):
    home = HOMES["bsds300-train"]
    folders = [sr_data / "train" / name for name in ("bsds300_train", "bsds500_train")]
    present = [folder for folder in folders if folder.is_dir()]
    if not present:
        pytest.skip("no BSDS300 training images in $SR_DATA/train")
    assert {file.name: file_checksum(file) for file in present[0].glob("*.jpg")} == home.files
