"""What an image file says besides its pixels, from the input to the enlarged file."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base

from demo import work
from sr.__main__ import main
from sr.images import read_image, write_png
from sr.saving import OUTPUTS, write_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" exif:PixelXDimension="12" '
    'dc:creator="Zoë"><tiff:ImageWidth>12</tiff:ImageWidth><xmp:Thumbnails>secret</xmp:Thumbnails>'
    "</rdf:Description></x:xmpmeta>"
).encode()
KEPT_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:creator="Zoë"></rdf:Description></x:xmpmeta>'.encode()
)
POSITION = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (48.0, 8.0, 12.5)}
CAMERA = {Base.DateTimeOriginal: "2024:01:02 03:04:05", Base.ExposureTime: 0.01, Base.MakerNote: b"a maker's note"}
SIZES = {Base.ExifImageWidth: 12, Base.ExifImageHeight: 8}


def exif_of_a_camera() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.ImageWidth] = 12
    exif[Base.Make] = "Camera"
    exif[Base.Artist] = "Zoë".encode()
    exif[IFD.Exif] = CAMERA | SIZES | {IFD.Interop: {1: "R03"}}
    exif[IFD.GPSInfo] = POSITION
    return exif


def pixels(mode="RGB") -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)).convert(mode)


def photo(path) -> None:
    """A photo as cameras write them, in the format of the path."""
    more = {} if path.suffix in (".png", ".tif") else {"xmp": XMP}
    pixels().save(path, exif=exif_of_a_camera().tobytes(), dpi=(240, 240), icc_profile=SRGB, **more)


def upscale(source, target, *more) -> None:
    assert main(["upscale", str(source), "-o", str(target), "--method", "nearest", *more]) == 0


@pytest.mark.parametrize("source", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("target", ["jpg", "png", "webp", "tif"])
def test_what_still_holds_is_kept(tmp_path, source, target):
    photo(tmp_path / f"a.{source}")
    upscale(tmp_path / f"a.{source}", tmp_path / f"b.{target}")
    with Image.open(tmp_path / f"b.{target}") as result:
        exif = result.getexif()
        camera, position = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
        interop = exif.get_ifd(IFD.Interop) if IFD.Interop in camera else {}
        result.load()
        info = result.info
    assert result.size == (32, 48)
    assert exif[Base.Make] == "Camera"
    assert Base.Orientation not in exif
    assert exif.get(Base.ImageWidth) == (32 if target == "tif" else None)  # a TIFF file's own
    assert {tag: camera[tag] for tag in CAMERA} == CAMERA
    assert not SIZES.keys() & camera.keys()
    assert position == POSITION
    assert info["icc_profile"] == SRGB
    if source != "tif":  # Pillow itself writes another name and no interoperability there
        assert exif[Base.Artist].encode("latin-1") == "Zoë".encode()
        assert interop == {1: "R03"}
    if "webp" not in (source, target):  # which has no place for it
        assert info["dpi"] == pytest.approx((240, 240), abs=0.1)
    if source in ("jpg", "webp"):
        assert info["xmp"] == KEPT_XMP


def test_xmp_of_png_and_tiff_files(tmp_path):
    photo(tmp_path / "a.jpg")
    upscale(tmp_path / "a.jpg", tmp_path / "b.png")
    upscale(tmp_path / "b.png", tmp_path / "c.tif")
    upscale(tmp_path / "c.tif", tmp_path / "d.png")
    assert Image.open(tmp_path / "d.png").info["xmp"] == KEPT_XMP


def test_the_thumbnail_goes(tmp_path):
    """Pillow writes none, so one is made by hand: a second directory behind the first."""
    exif = Image.Exif()
    exif[Base.Make] = "Camera"
    data = bytearray(exif.tobytes()[6:])
    entries = int.from_bytes(data[8:10], "big")
    following = 10 + 12 * entries
    data[following : following + 4] = len(data).to_bytes(4, "big")
    preview = b"\xff\xd8preview"
    tags = [(0x0201, len(data) + 30), (0x0202, len(preview))]
    data += len(tags).to_bytes(2, "big")
    data += b"".join(tag.to_bytes(2, "big") + b"\0\4\0\0\0\1" + value.to_bytes(4, "big") for tag, value in tags)
    data += bytes(4) + preview
    pixels().save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(data))
    assert Image.open(tmp_path / "a.jpg").getexif().get_ifd(IFD.IFD1)
    assert b"preview" in (tmp_path / "a.jpg").read_bytes()
    upscale(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert not Image.open(tmp_path / "b.jpg").getexif().get_ifd(IFD.IFD1)
    assert b"preview" not in (tmp_path / "b.jpg").read_bytes()


def test_a_tiff_file_says_how_its_own_pixels_are_stored(tmp_path):
    pixels("L").save(tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={Base.ImageDescription: "a drawing"})
    upscale(tmp_path / "a.tif", tmp_path / "b.png")
    assert dict(Image.open(tmp_path / "b.png").getexif()) == {Base.ImageDescription: "a drawing"}
    upscale(tmp_path / "a.tif", tmp_path / "c.tif")
    assert (np.asarray(Image.open(tmp_path / "c.tif"))[::4, ::4] == np.asarray(pixels("L"))).all()
    assert Image.open(tmp_path / "c.tif").info["compression"] == "tiff_lzw"


def test_damaged_exif_data_cost_neither_the_picture_nor_its_orientation(tmp_path, recwarn):
    whole = exif_of_a_camera().tobytes()
    rng = np.random.default_rng(0)
    turned = 0
    for number in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(40, len(whole), 3):
            damaged[place] = rng.integers(256)
        pixels().save(tmp_path / f"{number}.jpg", exif=bytes(damaged))
        image = read_image(tmp_path / f"{number}.jpg")
        turned += image.size == (8, 12)
        for format in OUTPUTS:
            write_image(image, io.BytesIO(), format)
    assert turned > 50


def test_a_file_whose_exif_data_cannot_be_read_is_named(tmp_path, capsys):
    pixels().save(tmp_path / "a.png", exif=b"Exif\0\0no TIFF header")
    upscale(tmp_path / "a.png", tmp_path / "b.png")
    assert f"warning: {tmp_path / 'a.png'} has unreadable EXIF data" in capsys.readouterr().err
    assert Image.open(tmp_path / "b.png").size == (48, 32)


@pytest.mark.parametrize("dpi", [(0, 0), (1e6, 72)])
def test_resolutions_that_cannot_be_are_left_out(tmp_path, dpi):
    image = pixels()
    image.save(tmp_path / "a.png", dpi=dpi)
    upscale(tmp_path / "a.png", tmp_path / "b.jpg")
    assert "dpi" not in Image.open(tmp_path / "b.jpg").info


def test_more_than_jpeg_can_hold_is_named_and_left_out(tmp_path, capsys):
    exif = Image.Exif()
    exif[Base.ImageDescription] = "x" * 70_000
    pixels().save(tmp_path / "a.png", exif=exif, dpi=(300, 300))
    upscale(tmp_path / "a.png", tmp_path / "b.jpg")
    assert "has more EXIF data than JPEG can hold" in capsys.readouterr().err
    assert not Image.open(tmp_path / "b.jpg").getexif()
    assert Image.open(tmp_path / "b.jpg").info["dpi"] == (300, 300)


def test_a_grey_profile_does_not_go_with_the_colours_that_webp_makes_of_grey(tmp_path):
    pixels("L").save(tmp_path / "a.png", icc_profile=SRGB[:16] + b"GRAY" + SRGB[20:])
    upscale(tmp_path / "a.png", tmp_path / "b.webp")
    assert "icc_profile" not in Image.open(tmp_path / "b.webp").info


def test_the_demos_downloads_carry_a_profile_and_nothing_else(tmp_path):
    photo(tmp_path / "a.jpg")
    file = io.BytesIO((tmp_path / "a.jpg").read_bytes())
    write_png(read_image(file), tmp_path / "b.png")
    (tmp_path / "out").mkdir()
    outcome = work.upscale(tmp_path / "a.jpg", tmp_path / "out", lambda share, what: None)
    for path in [tmp_path / "b.png", *(result.path for result in outcome.results)]:
        image = Image.open(path)
        image.load()
        assert image.info == {"icc_profile": SRGB}
        assert not image.getexif()
