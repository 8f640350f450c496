import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn.modules.module import register_module_forward_hook

import sr
from sr.errors import ImageError, SRError
from sr.inference import Network, resolve_device
from sr.methods import METHODS, Upscaler, load
from sr.models import SRResNet
from sr.paper import ORDER
from sr.precision import resolve_precision
from sr.resize import imresize
from sr.tiles import windows
from tests.networks import difference, picture, save_weights, small_net

CPU = torch.device("cpu")


def upscaler(precision="fp32", **options) -> Upscaler:
    return Upscaler("small", Network(small_net(), CPU, precision), **options)


def test_import_is_quick_and_load_is_there():
    subprocess.run([sys.executable, "-c", "import sr, sys; assert 'torch' not in sys.modules"], check=True)
    assert sr.load is load


def test_methods_in_display_order():
    of_the_paper = [name for name in ORDER if name in METHODS]
    assert list(METHODS) == of_the_paper


@pytest.mark.parametrize("overlap", [0, 3, 8])
@pytest.mark.parametrize("limit", [32, 33, 50])
def test_windows_cover_a_side_once_and_see_enough_around(limit, overlap):
    for side in range(1, 300):
        pieces = windows(side, limit, overlap)
        assert [i for _, kept in pieces for i in range(side)[kept]] == list(range(side))
        assert len({seen.stop - seen.start for seen, _ in pieces}) == 1
        for seen, kept in pieces:
            assert seen.stop - seen.start <= limit
            assert seen.start == 0 or kept.start - seen.start >= overlap
            assert seen.stop == side or seen.stop - kept.stop >= overlap
            assert 0 <= seen.start < seen.stop <= side


@pytest.mark.parametrize("size", [(97, 64), (33, 150), (2, 200)])
def test_tiles_do_not_show(size):
    image = picture(*size)
    whole = upscaler(tile=1000).upscale(image)
    assert difference(upscaler(tile=48).upscale(image), whole) <= 1
    assert len(np.unique(whole)) > 10


@pytest.mark.parametrize("name", ["srresnet", "srgan"])
def test_tiles_of_the_shipped_networks_do_not_show(name):
    image = picture(30, 190)
    engine = load(name, device="cpu")._engine
    seen = []
    tiled = Upscaler(name, engine, tile=160).upscale(image, progress=lambda done, total: seen.append(total))
    assert seen[-1] > 1
    assert difference(tiled, Upscaler(name, engine, tile=1000).upscale(image)) <= 1


@pytest.mark.parametrize("name", ["nearest", "bicubic"])
def test_filters_equal_their_untiled_form(name):
    image = picture(75, 130)
    result = Upscaler(name, load(name)._engine, tile=40).upscale(image)
    if name == "nearest":
        expected = image.repeat(4, 0).repeat(4, 1)
    else:
        expected = imresize(torch.from_numpy(image).permute(2, 0, 1)[None], 4)[0].permute(1, 2, 0).numpy()
    assert difference(result, expected) == 0


def test_folding_and_layout_do_not_change_the_network():
    net, image = small_net(), picture(30, 41)
    with torch.inference_mode():
        output = net(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0)
    expected = ((output + 1) * 127.5).clip(0, 255)
    result = Upscaler("small", Network(net, CPU, "fp32")).upscale(image)
    assert np.abs(expected.numpy() - result).max() <= 0.51


@pytest.mark.parametrize("name", ["small", "bicubic"])
def test_memory_does_not_grow_with_the_image(name):
    method = upscaler() if name == "small" else load(name)
    sizes = []
    engine = method._engine

    def watched(window):
        sizes.append(window.size)
        return engine(window)

    for key in ("scale", "overlap", "any_planes", "device", "runtime", "precision"):
        setattr(watched, key, getattr(engine, key))
    elements = []
    hook = register_module_forward_hook(lambda module, inputs, output: elements.append(output.numel()))
    try:
        Upscaler(name, watched, tile=48).upscale(picture(180, 130))
    finally:
        hook.remove()
    assert len(sizes) > 10
    assert max(sizes) <= 48 * 48 * 3
    if name == "small":
        assert max(elements) == 4 * 4 * 8 * max(sizes) // 3  # 8 channels at the full HR size


def test_arrays_and_pictures_keep_their_kind():
    method, image = upscaler(), picture(12, 10)
    for shape in [(12, 10), (12, 10, 1), (12, 10, 3), (12, 10, 4)]:
        result = method.upscale(np.resize(image, shape))
        assert result.shape == (48, 40, *shape[2:])
        assert result.dtype == np.uint8
    for mode in ["L", "LA", "RGB", "RGBA"]:
        result = method.upscale(Image.fromarray(image).convert(mode))
        assert (result.mode, result.size) == (mode, (40, 48))
    assert method.upscale(picture(1, 1)).shape == (4, 4, 3)


def test_array_and_picture_get_the_same_pixels():
    method, image = upscaler(), picture(30, 40)
    rgba = np.dstack([image, image[..., :1]])
    for array in (image, image[..., 0], rgba):
        before = array.copy()
        assert difference(method.upscale(array), method.upscale(Image.fromarray(array))) == 0
        assert (array == before).all()


@pytest.mark.parametrize("name", ["nearest", "bicubic"])
def test_grey_is_the_grey_of_the_colour_result(name):
    grey = picture(20, 30)[..., 0]
    assert difference(load(name).upscale(grey), load(name).upscale(np.dstack([grey] * 3))[..., 1]) == 0


def test_orientation_and_profile_of_an_open_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = bytes(16) + b"RGB " + bytes(108)
    Image.fromarray(picture(8, 12)).save(tmp_path / "a.png", exif=exif, icc_profile=profile)
    with Image.open(tmp_path / "a.png") as image:
        result = load("nearest").upscale(image)
    assert result.size == (32, 48)
    assert result.info == {"icc_profile": profile}


def shape_on(hidden, size=40) -> np.ndarray:
    """An opaque red disc with soft edges, RGBA, the colour `hidden` where it is transparent."""
    disc = Image.new("L", (8 * size, 8 * size))
    ImageDraw.Draw(disc).ellipse((8 * size // 4, 8 * size // 4, 6 * size, 6 * size), fill=255)
    alpha = np.asarray(disc.resize((size, size), Image.Resampling.BOX))
    return np.dstack([np.where(alpha[..., None] > 0, [220, 30, 30], hidden).astype(np.uint8), alpha])


@pytest.mark.parametrize("name", ["small", "bicubic"])
def test_hidden_colours_do_not_leak(name):
    method = upscaler() if name == "small" else load(name)
    green, blue = (method.upscale(shape_on(hidden)) for hidden in ([0, 255, 0], [0, 0, 255]))
    assert difference(green, blue) == 0
    if name == "bicubic":
        assert difference(green[green[..., 3] > 0][:, :3], [220, 30, 30]) == 0


def test_hidden_colours_do_not_leak_at_tile_borders():
    image = shape_on([0, 255, 0], 64)
    assert difference(upscaler(tile=48).upscale(image), upscaler(tile=1000).upscale(image)) <= 1


def test_alpha_is_bicubic_and_even_alpha_leaves_colours_alone():
    method, image = upscaler(), picture(20, 30)
    alpha = shape_on([0, 0, 0], 30)[:20, :, 3]
    assert difference(method.upscale(np.dstack([image, alpha]))[..., 3], load("bicubic").upscale(alpha)) == 0
    glass = np.dstack([image, np.full((20, 30), 128, np.uint8)])
    assert difference(method.upscale(glass)[..., :3], method.upscale(image)) <= 1
    assert (method.upscale(glass)[..., 3] == 128).all()


def test_nearest_repeats_alpha_too():
    image = shape_on([0, 255, 0])
    assert difference(load("nearest").upscale(image), image.repeat(4, 0).repeat(4, 1)) == 0


def test_progress_counts_tiles():
    calls = []
    upscaler(tile=48).upscale(picture(60, 90), progress=lambda done, total: calls.append((done, total)))
    assert len(calls) > 4
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]


@pytest.mark.parametrize("convert", [np.asarray, Image.fromarray])
def test_an_exception_from_progress_cancels(convert):
    class CancelledError(Exception):
        pass

    calls = []

    def progress(done, total):
        calls.append(done)
        if done == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        upscaler(tile=48).upscale(convert(picture(60, 90)), progress=progress)
    assert calls == [1, 2]


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4), bool), "bool"),
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), r"\(4,\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"\(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        ([[1, 2], [3, 4]], "list"),
        (torch.zeros(3, 4, 4), "Tensor"),
        (Image.new("F", (4, 4)), "floating-point"),
        (Image.new("I", (4, 4)), "32-bit integer"),
        (Image.new("RGB", (0, 4)), "0 x 4"),
    ],
)
def test_other_images_are_refused(image, words):
    with pytest.raises(ImageError, match=words):
        load("nearest").upscale(image)


def test_16_bit_pictures_warn():
    with pytest.warns(UserWarning, match="more than 8 bits"):
        result = load("nearest").upscale(Image.fromarray(np.full((2, 2), 32768, np.uint16)))
    assert (np.asarray(result) == 128).all()


def test_own_weights(tmp_path):
    net = small_net()
    save_weights(tmp_path / "mine.safetensors", net)
    method = load("srresnet", device="cpu", weights=tmp_path / "mine.safetensors")
    assert (method.name, method.scale, method.device, method.precision) == ("srresnet", 4, "cpu", "fp32")
    image = picture(20, 20)
    assert difference(method.upscale(image), upscaler().upscale(image)) <= 2  # the file holds half precision


def test_the_scale_comes_from_the_card(tmp_path):
    save_weights(tmp_path / "x2.safetensors", SRResNet(1, 8, scale=2))
    method = load("srresnet", device="cpu", weights=tmp_path / "x2.safetensors")
    assert method.upscale(shape_on([0, 255, 0])).shape == (80, 80, 4)


def test_loading_draws_no_random_numbers():
    state = torch.random.get_rng_state()
    load("srgan", device="cpu")
    assert torch.equal(state, torch.random.get_rng_state())


def broken_weights() -> dict:
    """Name -> (what to do to good weights and their card, words of the complaint)."""
    return {
        "no weights": (lambda w, c: w.unlink(), "mine.safetensors is missing"),
        "no card": (lambda w, c: c.unlink(), "mine.json is missing"),
        "pickle": (lambda w, c: torch.save(small_net().state_dict(), w), "not a readable safetensors file"),
        "truncated": (lambda w, c: w.write_bytes(w.read_bytes()[:-100]), "not a readable safetensors file"),
        "no JSON": (lambda w, c: c.write_text("{"), "mine.json describes no known architecture"),
        "no architecture": (lambda w, c: c.write_text("{}"), "mine.json describes no known architecture"),
        "other architecture": (lambda w, c: c.write_text('{"architecture": {"name": "EDSR"}}'), "EDSR"),
        "unknown argument": (
            lambda w, c: c.write_text('{"architecture": {"name": "SRResNet", "depth": 3}}'),
            "mine.json describes no known architecture",
        ),
        "other shapes": (
            lambda w, c: save_weights(
                w, SRResNet(2, 8), {"architecture": {"name": "SRResNet", "num_blocks": 2, "channels": 4}}
            ),
            "shape",
        ),
        "more blocks": (
            lambda w, c: c.write_text('{"architecture": {"name": "SRResNet", "num_blocks": 3, "channels": 8}}'),
            "blocks.2.*missing",
        ),
        "fewer blocks": (
            lambda w, c: c.write_text('{"architecture": {"name": "SRResNet", "num_blocks": 1, "channels": 8}}'),
            "blocks.1.*unknown",
        ),
    }


@pytest.mark.parametrize("case", broken_weights())
def test_unusable_weights_are_named(tmp_path, case):
    weights = tmp_path / "mine.safetensors"
    save_weights(weights, SRResNet(2, 8))
    damage, words = broken_weights()[case]
    damage(weights, weights.with_suffix(".json"))
    with pytest.raises(SRError, match=words) as caught:
        load("srgan", weights=weights)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "esrgan"}, "'esrgan'; use one of nearest, bicubic, srcnn, .*srresnet, .*srgan"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"device": "meta"}, "unknown device 'meta'"),
        ({"device": "cuda:99"}, "cuda:99 is not there"),
        ({"device": "cpu", "precision": "int4"}, "unknown precision 'int4'.*int8"),
        ({"runtime": "tensorrt"}, "unknown runtime 'tensorrt'; use auto, torch, openvino"),
        ({"name": "bicubic", "runtime": "openvino"}, "fixed filter"),
        ({"runtime": "torch", "precision": "int8"}, "torch computes in no int8"),
        ({"name": "srcnn", "runtime": "openvino"}, "SRResNet's architecture alone, not for SRCNN's; use runtime torch"),
        ({"runtime": "openvino", "precision": "bf16", "device": "cpu"}, "bf16"),
        ({"device": "cpu", "precision": "fp16"}, "device cpu has no fast fp16"),
        ({"name": "bicubic", "precision": "bf16"}, "fixed filter"),
        ({"name": "nearest", "weights": "x.safetensors"}, "fixed filter"),
    ],
)
def test_impossible_choices(arguments, words):
    with pytest.raises(SRError, match=words):
        load(**arguments)


def test_auto_on_the_cpu_is_fp32():
    assert resolve_precision("auto", CPU) == "fp32"


def test_bf16_on_a_cpu_that_has_it():
    try:
        resolve_precision("bf16", CPU)
    except SRError as error:
        pytest.skip(str(error))
    image = picture(40, 40)
    assert 0 < difference(upscaler("bf16").upscale(image), upscaler().upscale(image)) <= 6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1), ("fp16", 2), ("bf16", 6)])
def test_cuda_agrees_with_the_cpu(precision, levels):
    image, device = picture(60, 40), resolve_device("cuda")
    method = Upscaler("small", Network(small_net(), device, resolve_precision(precision, device)))
    assert difference(method.upscale(image), upscaler().upscale(image)) <= levels


def test_version():
    assert sr.__version__.count(".") == 2
