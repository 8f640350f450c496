import numpy as np
import pytest
from PIL import Image

from sr.data import ImageStore
from sr.errors import SRError


def save_noise(path, size=(160, 120), mode="RGB", seed=0):
    channels = len(mode) if mode != "L" else 1
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.squeeze(), mode).save(path)


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        save_noise(tmp_path / "photos" / "deep" / f"{i}.png", seed=i)
    return tmp_path / "photos"


def test_folders_are_searched_and_bad_files_are_named_and_counted(folder, capsys):
    save_noise(folder / "grey.png", mode="L")
    save_noise(folder / "alpha.webp", mode="RGBA")
    save_noise(folder / "tiny.jpg", size=(100, 20))
    (folder / "text.jpg").write_text("not an image")
    (folder / "empty.png").touch()
    whole = (folder / "deep" / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("other files are no business of ours")
    store = ImageStore([folder], min_side=112)
    assert sorted(path.name for path in store.paths) == [*(f"{i}.png" for i in range(6)), "alpha.webp", "grey.png"]
    assert {store[i].shape for i in range(len(store))} == {(120, 160, 3)}
    printed = capsys.readouterr().out
    for name in ("tiny.jpg", "text.jpg", "empty.png", "cut.png"):
        assert len([line for line in printed.splitlines() if name in line]) == 1, name
    assert "4 of 12 files skipped" in printed
    assert store.counts == {"deep": 6, "photos": 2}


def test_nothing_to_train_on_is_an_error(folder, tmp_path):
    (tmp_path / "void").mkdir()
    with pytest.raises(SRError, match="void"):
        ImageStore([tmp_path / "void"], min_side=96)
    with pytest.raises(SRError, match="no such folder.*absent"):
        ImageStore([folder, tmp_path / "absent"], min_side=96)


def test_images_beyond_the_memory_limit_are_read_again(folder):
    whole, small = ImageStore([folder], 96), ImageStore([folder], 96, memory_limit=2 * 160 * 120 * 3)
    assert all(np.array_equal(whole[i], small[i]) for i in range(6))
