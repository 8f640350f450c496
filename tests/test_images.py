import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from sr.errors import ImageError, SRError
from sr.images import read_image, read_rgb_array, write_png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]
ORIENTATION = 0x0112


def picture(height=5, width=7, channels=3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def png_bytes(width, height, depth, colour_type, rows: bytes) -> bytes:
    """A PNG file of what Pillow reads but cannot write, such as 16-bit colour. rows: with their filter bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff_bytes(bits: int, data: bytes, width: int) -> bytes:
    """A TIFF file with one row of grey."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, len(data))]
    start = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, start if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


def cmyk_profile() -> bytes:
    """An ICC profile (lut8, two grid points per ink) of a printer whose first ink is red; the others leave no trace."""
    white, red = (255, 128, 128), (136, 209, 198)  # 8-bit Lab
    table = b"".join(bytes(red if index >= 8 else white) for index in range(16))  # the first ink varies slowest
    ramps = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i in (0, 4, 8)) for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramps * 4 + table + ramps * 3
    text = b"desc" + bytes(4) + struct.pack(">I", 4) + b"ink\0" + bytes(79)
    point = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    blocks, entries, body = [(b"A2B0", lut), (b"desc", text), (b"wtpt", point)], b"", b""
    for name, block in blocks:
        block += bytes(-len(block) % 4)
        entries += name + struct.pack(">II", 128 + 4 + 12 * len(blocks) + len(body), len(block))
        body += block
    size = 132 + len(entries) + len(body)
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I4sI4s4s4s", size, b"", 0x02400000, b"prtr", b"CMYK", b"Lab ") + struct.pack(
        ">6H", 2026, 1, 1, 0, 0, 0
    )
    header = (header + b"acsp").ljust(68, b"\0") + d50
    return header.ljust(128, b"\0") + struct.pack(">I", len(blocks)) + entries + body


def save(image: Image.Image | np.ndarray, path, **options):
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_once(tmp_path, orientation, suffix):
    upright = picture()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = save(np.ascontiguousarray(STORED[orientation](upright)), tmp_path / f"a.{suffix}", exif=exif)
    image = read_image(path)
    assert (np.asarray(image) == upright).all()
    assert not image.getexif()


def test_unreadable_exif_does_not_cost_the_picture(tmp_path):
    path = save(picture(), tmp_path / "a.png", exif=b"Exif\0\0no TIFF header")
    with pytest.warns(UserWarning, match=r"a\.png has unreadable EXIF"):
        assert (np.asarray(read_image(path)) == picture()).all()


@pytest.mark.parametrize(
    ("mode", "profile", "kept"),
    [
        ("RGB", SRGB, True),
        ("RGBA", SRGB, True),
        ("P", SRGB, True),
        ("L", GREY_PROFILE, True),
        ("LA", GREY_PROFILE, True),
        ("L", SRGB, False),
        ("RGB", GREY_PROFILE, False),
        ("RGB", b"too short", False),
    ],
)
def test_a_colour_profile_stays_where_it_describes_the_pixels(tmp_path, mode, profile, kept):
    path = save(Image.fromarray(picture()).convert(mode), tmp_path / "a.png", icc_profile=profile)
    write_png(read_image(path), tmp_path / "b.png")
    assert Image.open(tmp_path / "b.png").info.get("icc_profile") == (profile if kept else None)


def test_modes(tmp_path):
    grey, colour = Image.fromarray(picture(channels=1)), Image.fromarray(picture())
    cases = [
        (grey.convert("1"), {}, "L"),
        (grey, {}, "L"),
        (grey, {"transparency": 7}, "LA"),
        (grey.convert("LA"), {}, "LA"),
        (colour, {}, "RGB"),
        (colour, {"transparency": (1, 2, 3)}, "RGBA"),
        (colour.convert("RGBA"), {}, "RGBA"),
        (colour.quantize(8), {}, "RGB"),
        (grey.convert("P"), {}, "RGB"),
        (colour.quantize(8), {"transparency": 3}, "RGBA"),
    ]
    for image, options, mode in cases:
        result = read_image(save(image, tmp_path / "a.png", **options))
        assert result.mode == mode, (image.mode, options)
        assert (np.asarray(result.convert("RGB")) == np.asarray(image.convert("RGB"))).all(), (image.mode, options)


def test_the_transparent_palette_entry_becomes_alpha(tmp_path):
    image = Image.fromarray(picture()).quantize(8)
    alpha = np.asarray(read_image(save(image, tmp_path / "a.png", transparency=3)))[..., 3]
    assert ((alpha == 0) == (np.asarray(image) == 3)).all()


def test_cmyk_with_a_profile_is_converted_through_it(tmp_path):
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    image = read_image(save(ink, tmp_path / "a.tif", icc_profile=cmyk_profile()))
    red, green, blue = image.getpixel((3, 3))
    assert red > 230
    assert max(green, blue) < 40
    assert image.info["icc_profile"][16:20] == b"RGB "
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])))


@pytest.mark.parametrize("profile", [None, SRGB])
def test_cmyk_without_a_fitting_profile_is_converted_plainly(tmp_path, profile):
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    image = read_image(save(ink, tmp_path / "a.tif", **({"icc_profile": profile} if profile else {})))
    assert image.getpixel((3, 3)) == (0, 255, 255)


def test_a_damaged_cmyk_profile_warns_and_goes(tmp_path):
    ink = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    path = save(ink, tmp_path / "a.tif", icc_profile=cmyk_profile()[:140])
    with pytest.warns(UserWarning, match="unusable CMYK profile"):
        image = read_image(path)
    assert image.getpixel((3, 3)) == (0, 255, 255)
    assert "icc_profile" not in image.info


SAMPLES = [0, 257, 1000, 32768, 65535]  # as 8 bits: 0, 1, 3.9, 127.5, 255


def deep_files() -> dict[str, tuple[bytes, str]]:
    """Name -> (file with SAMPLES at 16 bits, or the same shares of the range at 12, mode that it is read as)."""
    samples = np.array(SAMPLES, ">u2")
    colour = np.repeat(samples[:, None], 3, 1).tobytes()
    opaque = np.stack([samples, np.full(5, 65535)], 1).astype(">u2").tobytes()
    packed = np.unpackbits(np.array([v >> 4 for v in SAMPLES], ">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 4:]
    return {
        "grey.png": (png_bytes(5, 1, 16, 0, b"\0" + samples.tobytes()), "L"),
        "colour.png": (png_bytes(5, 1, 16, 2, b"\0" + colour), "RGB"),
        "grey_alpha.png": (png_bytes(5, 1, 16, 4, b"\0" + opaque), "LA"),
        "grey.tif": (tiff_bytes(16, samples.astype("<u2").tobytes(), 5), "L"),
        "twelve.tif": (tiff_bytes(12, np.packbits(packed).tobytes(), 5), "L"),
        "grey.pgm": (b"P5 5 1 65535\n" + samples.tobytes(), "L"),
        "twelve.pgm": (b"P5 5 1 4095\n" + (samples >> 4).astype(">u2").tobytes(), "L"),
        "colour.ppm": (b"P6 5 1 65535\n" + colour, "RGB"),
    }


@pytest.mark.parametrize("name", deep_files())
def test_more_than_8_bits_are_scaled_not_clipped(tmp_path, name):
    data, mode = deep_files()[name]
    (tmp_path / name).write_bytes(data)
    with pytest.warns(UserWarning, match=f"{name} has more than 8 bits"):
        image = read_image(tmp_path / name)
    assert image.mode == mode
    assert np.abs(np.asarray(image.getchannel(0))[0] - np.array(SAMPLES) / 257).max() <= 1


def test_8_bit_files_do_not_warn(tmp_path, recwarn):
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp", "a.webp", "a.ppm", "a.gif"):
        read_image(save(picture(), tmp_path / name))
    for name in ("two.png", "two.bmp"):
        read_image(save(Image.fromarray(picture()).quantize(2), tmp_path / name, bits=1))
    assert not recwarn.list


@pytest.mark.parametrize(("dtype", "words"), [("float32", "floating-point"), ("int32", "32-bit integer")])
def test_pixels_without_an_agreed_range_are_refused(tmp_path, dtype, words):
    path = save(picture(channels=1).astype(dtype), tmp_path / "a.tif")
    with pytest.raises(ImageError, match=rf"a\.tif has {words} pixels"):
        read_image(path)


def write_animation(path, frames=3, **options):
    first, *others = [Image.fromarray(picture() // (i + 1)) for i in range(frames)]
    return save(first, path, save_all=True, append_images=others, **options)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_several_frames_are_refused_and_counted(tmp_path, suffix):
    write_animation(tmp_path / f"a.{suffix}")
    with pytest.raises(ImageError, match=rf"a\.{suffix} .*3 frames"):
        read_image(tmp_path / f"a.{suffix}")


def test_a_camera_file_with_a_second_picture_is_a_still_image(tmp_path):
    first = save(picture(32, 48), tmp_path / "first.jpg")
    write_animation(tmp_path / "a.jpg", format="MPO")
    assert Image.open(tmp_path / "a.jpg").n_frames == 3
    Image.open(first).save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert read_image(tmp_path / "a.jpg").size == (48, 32)


def bad_files() -> dict[str, tuple[bytes, str]]:
    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.fromarray(picture(64, 64)).save(jpeg, "JPEG")
    Image.fromarray(picture(64, 64)).save(png, "PNG")
    return {
        "empty.png": (b"", "is empty"),
        "text.jpg": (b"this is no picture\n" * 50, "is not an image"),
        "half.jpg": (jpeg.getvalue()[: len(jpeg.getvalue()) // 2], "is damaged or truncated"),
        "half.png": (png.getvalue()[: len(png.getvalue()) // 2], "is damaged or truncated"),
        "header.png": (png.getvalue()[:20], ""),
        "bytes.png": (png.getvalue()[:200] + bytes(100) + png.getvalue()[300:], "is damaged or truncated"),
        "zero.png": (png_bytes(0, 5, 8, 2, b""), ""),
        "vector.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is not an image"),
        "large.png": (png_bytes(9000, 8000, 8, 2, b""), "72 Mpixel, more than the limit of 64 Mpixel"),
        "bomb.png": (png_bytes(60000, 60000, 8, 2, b""), "more than the limit of 64 Mpixel"),
    }


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", bad_files())
def test_unusable_files_get_one_sentence_with_their_name(tmp_path, name):
    data, words = bad_files()[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name))
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "words"), [("none.png", "No such file"), (".", "directory")])
def test_a_path_without_a_file(tmp_path, name, words):
    with pytest.raises(ImageError, match=f"cannot be read: .*{words}"):
        read_image(tmp_path / name)


def test_the_limit_is_an_argument(tmp_path):
    path = save(picture(10, 10), tmp_path / "a.png")
    assert read_image(path, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="10 x 10 pixels"):
        read_image(path, max_pixels=99)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_a_damaged_avif(tmp_path):
    path = save(picture(32, 32), tmp_path / "a.avif")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"pitm", b"????"))  # no primary item
    with pytest.raises(ImageError, match=r"a\.avif is damaged or truncated"):
        read_image(path)


def test_file_objects_are_read_from_their_start():
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    assert (np.asarray(read_image(buffer)) == picture()).all()


def test_rgb_array(tmp_path):
    grey = picture(channels=1)
    assert (read_rgb_array(save(grey, tmp_path / "grey.png")) == grey[..., None]).all()
    clear = read_rgb_array(save(Image.new("RGBA", (3, 2), (0, 200, 0, 0)), tmp_path / "clear.png"))
    assert clear.shape == (2, 3, 3)
    assert (clear == 255).all()


def test_writing_replaces_a_file_and_obeys_the_umask(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    write_png(Image.fromarray(picture()), path)
    assert (np.asarray(Image.open(path)) == picture()).all()
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(image, file, **options):
        file.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(SRError, match=r"a\.png cannot be written: No space left"):
        write_png(Image.new("L", (2, 2)), path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.png", b"old")]


def test_writing_makes_the_folder_or_says_why_not(tmp_path):
    write_png(Image.new("L", (2, 2)), tmp_path / "new" / "a.png")
    with pytest.raises(SRError, match="cannot be written"):
        write_png(Image.new("L", (2, 2)), tmp_path / "new" / "a.png" / "b.png")
