"""What a step trains on: crops of images on the disk, drawn from seed and step alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sr.batches import BatchSource, ResidentImages
from sr.config import TrainConfig
from sr.crops import lanczos_matrices, longest_span, plan_crops, resize_lanczos
from sr.data import ImageStore
from sr.errors import SRError
from sr.resize import imresize

CPU = torch.device("cpu")
PLAIN = TrainConfig(name="test", batch_size=1)
VARIED = replace(PLAIN, crop_size=32, batch_size=4, augment=True, rescale_min=0.5, seed=3)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> ImageStore:
    """Six of smooth noise, 160 x 120."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(6):
        coarse = np.random.default_rng(i).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return ImageStore([folder], min_side=112)


def take(images, config, steps, first=0, **options) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(BatchSource(images, config, CPU, first, first + steps, **options))


def assert_same(a, b) -> None:
    for (lr, hr), (other_lr, other_hr) in zip(a, b, strict=True):
        assert lr.equal(other_lr)
        assert hr.equal(other_hr)


def test_lr_is_the_same_piece_of_the_whole_images_lr(tmp_path):
    """A crop's LR equals MATLAB's reduction of the whole image wherever the 4x4 cells coincide, the border included."""
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    whole = torch.from_numpy(noise).permute(2, 0, 1)[None]
    reduced = imresize(whole, 1 / 4)
    hits = 0
    for lr, hr in take(ImageStore([tmp_path], 112), PLAIN, steps=60):
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
    for _, hr in take(ImageStore([tmp_path], 112), replace(PLAIN, batch_size=5), steps=20):
        assert sorted(hr[:, 0, 0, 0].tolist()) == [0, 50, 100, 150, 200]


def test_batches_depend_on_seed_and_step_alone(images):
    here = take(images, VARIED, 6)
    assert_same(here[2:], take(images, replace(VARIED, workers=2), 4, first=2))
    assert not here[0][1].equal(here[1][1])
    assert not take(images, replace(VARIED, seed=4), 1)[0][1].equal(here[0][1])


def test_processes_share_one_batch(images):
    """Two ranks see, together and in order, what one process sees: their number changes nothing."""
    whole = take(images, VARIED, 3)
    halves = [take(images, VARIED, 3, rank=rank, ranks=2) for rank in range(2)]
    joint = [tuple(torch.cat(parts) for parts in zip(a, b, strict=True)) for a, b in zip(*halves, strict=True)]
    assert_same(whole, joint)


def test_too_few_images_and_odd_shares_are_errors(images):
    with pytest.raises(SRError, match="batch of 7.*there are 6"):
        BatchSource(images, replace(PLAIN, batch_size=7), CPU, 0, 1)
    with pytest.raises(SRError, match="batch_size 4.*multiple of 3"):
        BatchSource(images, VARIED, CPU, 0, 1, ranks=3)


def test_augmentation_gives_all_eight_flips_and_turns(tmp_path):
    """An image with four colours in its quarters: where they end up."""
    pixels = np.zeros((112, 112, 3), np.uint8)
    pixels[:56, :56, 0], pixels[:56, 56:, 1], pixels[56:, :56, 2] = 255, 255, 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    seen = set()
    for lr, hr in take(ImageStore([tmp_path], 112), replace(PLAIN, augment=True), steps=60):
        seen.add(tuple(hr[0, :, [0, 0, -1, -1], [0, -1, 0, -1]].T.flatten().tolist()))
        enlarged = imresize(lr, 4).float()
        assert (enlarged - hr).abs().mean() < 8  # LR is turned with HR
    assert len(seen) == 8


def test_rescaling_shows_more_of_the_image(tmp_path):
    """A horizontal ramp: the reduced HR image climbs up to twice as fast."""
    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (256, 256, 3))
    Image.fromarray(ramp.copy()).save(tmp_path / "ramp.png")
    store = ImageStore([tmp_path], 112)

    def spans(rescale_min):
        return [int(hr.max()) - int(hr.min()) for _, hr in take(store, replace(PLAIN, rescale_min=rescale_min), 40)]

    assert set(spans(1.0)) == {95}
    assert max(spans(0.5)) > 150
    assert min(spans(0.5)) == 95


def test_rescaling_is_pillows_lanczos():
    """Up to one grey level, which Pillow's own fixed-point weights round otherwise; and the identity at full size."""
    windows = np.random.default_rng(1).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    matrices = lanczos_matrices(48, 96)
    for window, span in zip(windows, (48, 53, 80, 96), strict=True):
        piece = window[:span, :span]
        reduced = resize_lanczos(torch.from_numpy(window)[None], matrices[span - 48][None])[0].permute(1, 2, 0).numpy()
        expected = np.asarray(Image.fromarray(piece).resize((48, 48), Image.Resampling.LANCZOS))
        difference = np.abs(reduced.astype(int) - expected)
        assert difference.max() <= (1 if span > 48 else 0)
        assert difference.mean() < 0.05


def test_gaussian_degradation_is_another_lr(images):
    ((bicubic, hr),) = take(images, replace(PLAIN, batch_size=2), 1)
    ((gaussian, same_hr),) = take(images, replace(PLAIN, batch_size=2, degradation="gaussian"), 1)
    assert hr.equal(same_hr)
    assert bicubic.shape == gaussian.shape
    assert gaussian.float().std() < bicubic.float().std()  # the Gaussian blurs more


def test_images_that_live_on_a_device_give_the_same_crops(images):
    """The way of a GPU, taken on the CPU: windows from one tensor of all pixels, all of them resized in one batch."""
    resident = ResidentImages(images, CPU, longest_span(VARIED))
    matrices = lanczos_matrices(48, longest_span(VARIED))
    for step, (_, hr) in enumerate(take(images, replace(VARIED, augment=False), 5)):
        plan = plan_crops(images.sizes, VARIED, VARIED.batch_size, VARIED.seed, step)
        windows, span, _ = resident.windows(resident.facts(plan))
        assert resize_lanczos(windows, matrices[span - 48])[..., 8:-8, 8:-8].equal(hr)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("share", [0.3, 0.0])
def test_a_gpu_cuts_the_same_crops(images, share):
    source = BatchSource(images, replace(VARIED, resident_share=share), torch.device("cuda"), 0, 5)
    assert source.resident == (share > 0)
    on_gpu = [(lr.cpu(), hr.cpu()) for lr, hr in source]
    assert_same(on_gpu, take(images, VARIED, 5))
    assert source.bytes_to_device > 0
