import numpy as np
import pytest
import torch
from PIL import Image

from sr.data import CropBatches, CropSettings, ImageStore, batches
from sr.errors import SRError
from sr.resize import imresize


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
    with pytest.raises(SRError, match="batch of 7.*there are 6"):
        CropBatches(ImageStore([folder], min_side=96), CropSettings(), batch_size=7, seed=0)


def test_images_beyond_the_memory_limit_are_read_again(folder):
    whole, small = ImageStore([folder], 96), ImageStore([folder], 96, memory_limit=2 * 160 * 120 * 3)
    assert all(np.array_equal(whole[i], small[i]) for i in range(6))


def test_lr_is_the_same_piece_of_the_whole_images_lr(tmp_path):
    """A crop's LR equals MATLAB's reduction of the whole image wherever the 4x4 cells coincide, the border included."""
    save_noise(tmp_path / "a.png", size=(112, 112))
    store = ImageStore([tmp_path], min_side=112)
    whole = torch.from_numpy(store[0]).permute(2, 0, 1)[None]
    reduced = imresize(whole, 1 / 4)
    dataset = CropBatches(store, CropSettings(size=96), batch_size=1, seed=0)
    hits = 0
    for step in range(60):
        lr, hr = dataset[step]
        assert (lr.shape, lr.dtype) == ((1, 3, 24, 24), torch.uint8)
        assert (hr.shape, hr.dtype) == ((1, 3, 96, 96), torch.uint8)
        places = [(y, x) for y in range(17) for x in range(17) if whole[..., y : y + 96, x : x + 96].equal(hr)]
        ((top, left),) = places
        if top % 4 == 0 and left % 4 == 0:
            assert lr.equal(reduced[..., top // 4 : top // 4 + 24, left // 4 : left // 4 + 24])
            hits += 1
    assert hits


def test_a_batch_holds_distinct_images(tmp_path):
    for i in range(5):
        Image.new("RGB", (128, 128), (i * 50, 0, 0)).save(tmp_path / f"{i}.png")
    dataset = CropBatches(ImageStore([tmp_path], 112), CropSettings(), batch_size=5, seed=1)
    for step in range(20):
        assert sorted(dataset[step][1][:, 0, 0, 0].tolist()) == [0, 50, 100, 150, 200]


def test_batches_depend_on_seed_and_step_alone(folder):
    settings = CropSettings(size=32, augment=True, rescale_min=0.5)
    store = ImageStore([folder], 64)
    dataset = CropBatches(store, settings, batch_size=4, seed=3)
    here = list(batches(dataset, 0, 6, workers=0, pin_memory=False))
    resumed = list(batches(dataset, 2, 6, workers=2, pin_memory=False))
    for (lr, hr), (other_lr, other_hr) in zip(here[2:], resumed, strict=True):
        assert lr.equal(other_lr)
        assert hr.equal(other_hr)
    assert not here[0][1].equal(here[1][1])
    assert not CropBatches(store, settings, batch_size=4, seed=4)[0][1].equal(here[0][1])


def test_rescaling_shows_more_of_the_image(tmp_path):
    """A horizontal ramp: the reduced HR image climbs up to twice as fast."""
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    Image.fromarray(ramp.copy()).save(tmp_path / "ramp.png")
    store = ImageStore([tmp_path], 112)

    def spans(rescale_min):
        dataset = CropBatches(store, CropSettings(rescale_min=rescale_min), 1, seed=0)
        return [int(dataset[step][1].max()) - int(dataset[step][1].min()) for step in range(40)]

    assert set(spans(1.0)) == {95}
    assert max(spans(0.5)) > 150
    assert min(spans(0.5)) == 95


def test_gaussian_degradation_is_another_lr(folder):
    store = ImageStore([folder], 112)
    bicubic = CropBatches(store, CropSettings(), 2, seed=0)[0]
    gaussian = CropBatches(store, CropSettings(degradation="gaussian"), 2, seed=0)[0]
    assert bicubic[1].equal(gaussian[1])
    assert bicubic[0].shape == gaussian[0].shape
    assert gaussian[0].float().std() < bicubic[0].float().std()  # the Gaussian blurs more
