import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sr.__main__ import main
from sr.errors import ImageError
from sr.images import MAX_INPUT_PIXELS, read_image


def picture(height=6, width=9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path, array=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture() if array is None else array).save(path)
    return path


def upscale(*arguments, method="nearest") -> int:
    return main(["upscale", *map(str, arguments), "--method", method])


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_line_from_end_to_end(tmp_path):
    source = save(tmp_path / "a.png")
    command = [sys.executable, "-m", "sr", "upscale", str(source), "-o", str(tmp_path / "large.png")]
    command += ["--method", "srgan", "--device", "cpu", "--precision", "fp32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "large.png").size == (36, 24)
    assert done.stdout == f"{tmp_path / 'large.png'}\n"
    assert "1/1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", ["nearest", "bicubic", "srresnet", "srgan"])
def test_every_method(tmp_path, method):
    assert upscale(save(tmp_path / "a.png"), "-o", tmp_path / "out", method=method) == 0
    assert Image.open(tmp_path / "out" / "a.png").size == (36, 24)


def test_folders_and_files_go_to_a_new_folder(tmp_path):
    first, second, third, other = (picture() // i for i in (1, 2, 3, 4))
    save(tmp_path / "in" / "b.bmp", second)
    save(tmp_path / "in" / "a.png", first)
    save(tmp_path / "in" / "deeper" / "a.png", third)
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    (tmp_path / "in" / "._a.png").write_text("what macOS leaves on other systems' disks")
    save(tmp_path / "other.v2.png", other)
    out = tmp_path / "new" / "folder"
    assert upscale(tmp_path / "in", tmp_path / "other.v2.png", tmp_path / "in" / "a.png", "-o", out) == 0
    assert sorted(contents(out)) == ["a.png", "b.png", os.path.join("deeper", "a.png"), "other.v2.png"]
    for name, expected in (("a", first), ("b", second), ("deeper/a", third), ("other.v2", other)):
        assert (np.asarray(Image.open(out / f"{name}.png"))[::4, ::4] == expected).all()


@pytest.mark.parametrize(
    ("pattern", "results"),
    [
        ("in/*.png", ["a.png", "b[1].png"]),
        ("in/**/*.png", ["a.png", "b[1].png", "x/c.png", "x/y/d.png"]),
        ("in/*/c.*", ["x/c.png"]),
        ("in/?", ["x/c.png", "x/y/d.png"]),
        ("in/b[1].png", ["b[1].png"]),
    ],
)
def test_patterns_that_no_shell_has_expanded(tmp_path, monkeypatch, pattern, results):
    for name in ("a", "b[1]", "x/c", "x/y/d"):
        save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "x" / "c.txt").write_text("not an image")
    monkeypatch.chdir(tmp_path)
    assert upscale(pattern, "-o", "out") == 0
    assert sorted(contents(tmp_path / "out")) == sorted(map(os.path.normpath, results))


def test_an_existing_result_is_kept_unless_told_otherwise(tmp_path, capsys):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"old")
    before = contents(tmp_path)
    assert upscale(tmp_path / "in", "-o", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert f"1 of 2 results (first: {tmp_path / 'out' / 'b.png'}) already there" in error
    assert "--overwrite" in error
    assert "--skip-existing" in error
    assert contents(tmp_path) == before
    assert upscale(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'a.png'}\n"
    assert (tmp_path / "out" / "b.png").read_bytes() == b"old"
    assert upscale(tmp_path / "in", "-o", tmp_path / "out", "--overwrite") == 0
    assert Image.open(tmp_path / "out" / "b.png").size == (36, 24)
    done = contents(tmp_path)
    assert upscale(tmp_path / "in", "-o", tmp_path / "out", "--skip-existing") == 0
    assert "2 of 2 results were there already" in capsys.readouterr().err
    assert contents(tmp_path) == done


@pytest.mark.parametrize("out", ["in", "in/large"])
def test_a_second_run_does_not_enlarge_the_first_ones_results(tmp_path, monkeypatch, out):
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "x" / "b.bmp")
    monkeypatch.chdir(tmp_path)
    assert upscale("in", "-o", out, "--suffix", "_x4") == 0
    done = contents(tmp_path)
    assert {os.path.normpath(f"{out}/a_x4.png"), os.path.normpath(f"{out}/x/b_x4.png")} < done.keys()
    assert upscale("in", "-o", out, "--suffix", "_x4", "--skip-existing") == 0
    assert contents(tmp_path) == done


@pytest.mark.parametrize(
    ("arguments", "name", "format", "exact"),
    [
        (["-o", "out", "--suffix", "_x4"], "out/a_x4.png", "PNG", True),
        (["-o", "out", "--format", "jpeg"], "out/a.jpg", "JPEG", False),
        (["-o", "out", "--format", "webp"], "out/a.webp", "WEBP", True),
        (["-o", "out", "--format", "tiff"], "out/a.tif", "TIFF", True),
        (["-o", "b.JPEG"], "b.JPEG", "JPEG", False),
        (["-o", "b.webp", "--format", "webp"], "b.webp", "WEBP", True),
        (["-o", "b.tiff"], "b.tiff", "TIFF", True),
    ],
)
def test_formats(tmp_path, monkeypatch, arguments, name, format, exact):
    smooth = np.linspace((0, 60, 250), (200, 70, 0), 9).astype(np.uint8)[None].repeat(6, 0)
    save(tmp_path / "a.png", smooth)
    monkeypatch.chdir(tmp_path)
    assert upscale("a.png", *arguments) == 0
    result = Image.open(name)
    assert result.format == format
    difference = np.abs(np.asarray(result)[::4, ::4].astype(int) - smooth)
    assert difference.max() <= (0 if exact else 12)


def test_jpeg_lays_transparent_pictures_over_white(tmp_path, capsys):
    Image.new("RGBA", (5, 4), (0, 0, 0, 51)).save(tmp_path / "a.png")
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "a.jpg") == 0
    assert Image.open(tmp_path / "a.jpg").getpixel((9, 9)) == (204, 204, 204)
    assert f"warning: {tmp_path / 'a.png'} has transparency, which JPEG cannot hold" in capsys.readouterr().err


def test_a_result_that_its_format_cannot_hold_is_refused_before_the_work(tmp_path, capsys):
    save(tmp_path / "in" / "a.png", np.zeros((1, 4096, 3), np.uint8))
    save(tmp_path / "in" / "b.png")
    assert upscale(tmp_path / "in", "-o", tmp_path / "out", "--format", "webp") == 1
    assert "a.png becomes 16384 x 4 pixels, and webp files have at most 16383 a side" in capsys.readouterr().err
    assert list(contents(tmp_path / "out")) == ["b.webp"]


def feed(monkeypatch, data: bytes) -> None:
    """Makes a pipe with `data` the standard input."""
    reader, writer = os.pipe()
    with open(writer, "wb") as file:
        file.write(data)
    monkeypatch.setattr(sys, "stdin", os.fdopen(reader))


def png(array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_from_pipe_to_pipe(monkeypatch, capfdbinary, format):
    feed(monkeypatch, png(picture()))
    assert upscale("-", "-o", "-", "--format", format) == 0
    result = Image.open(io.BytesIO(capfdbinary.readouterr().out))
    assert (result.format, result.size) == (format.upper(), (36, 24))


def test_from_a_pipe_to_a_folder(tmp_path, monkeypatch):
    feed(monkeypatch, png(picture()))
    assert upscale("-", save(tmp_path / "a.png"), "-o", tmp_path / "out", "--suffix", "_x4") == 0
    assert sorted(contents(tmp_path / "out")) == ["a_x4.png", "stdin_x4.png"]


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "is empty"), (b"no image", "is not an image"), (png(picture())[:90], "damaged")]
)
def test_a_pipe_without_an_image(monkeypatch, capfdbinary, data, words):
    feed(monkeypatch, data)
    assert upscale("-", "-o", "-") == 2
    out, error = capfdbinary.readouterr()
    assert out == b""
    assert words.encode() in error


def test_an_endless_pipe_is_left_at_the_size_limit(monkeypatch):
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            return len(buffer)

    with pytest.raises(ImageError, match="has more than"):
        read_image(io.BufferedReader(Endless()), max_pixels=1000)


def test_a_broken_file_does_not_stop_the_others(tmp_path, capsys):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"")
    save(tmp_path / "in" / "c.png")
    assert upscale(tmp_path / "in", tmp_path / "missing.png", "-o", tmp_path / "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    errors = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert f"{tmp_path / 'in' / 'b.png'} is empty" in errors[0]
    assert f"{tmp_path / 'missing.png'} cannot be read" in errors[1]


def test_nothing_usable(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "out") == 2
    assert "error: " in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert upscale(tmp_path / "empty", "-o", tmp_path / "out") == 2
    assert "holds no image files" in capsys.readouterr().err


def test_a_large_file_is_refused_with_its_size(tmp_path, capsys):
    header = io.BytesIO()
    Image.new("L", (1, 1)).save(header, "BMP")
    data = bytearray(header.getvalue())
    data[18:26] = (MAX_INPUT_PIXELS // 1000).to_bytes(4, "little") + (1001).to_bytes(4, "little")
    (tmp_path / "a.bmp").write_bytes(data)
    assert upscale(tmp_path / "a.bmp", "-o", tmp_path / "out") == 2
    assert "64000 x 1001 pixels" in capsys.readouterr().err


def test_a_warning_is_one_line(tmp_path, capsys):
    save(tmp_path / "a.png", np.full((4, 4), 32768, np.uint16))
    assert upscale(tmp_path / "a.png", "-o", tmp_path / "out.png") == 0
    assert f"warning: {tmp_path / 'a.png'} has more than 8 bits per channel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in/a.png", "in/a.bmp", "-o", "out"], "would both become"),
        (["in/a.png", "more/A.png", "-o", "out"], "would both become"),
        (["in/a.png", "-o", "in/a.png"], "would overwrite the input"),
        (["more/A.png", "in/a.png", "-o", "in"], "would both become|would overwrite"),
        (["in/a.bmp", "in/b.png", "-o", "in"], "would overwrite the input"),
        (["link.png", "-o", "in/a.png"], "would overwrite the input"),
        (["in/a.png", "-o", "out.gif"], "cannot be written: give a name that ends in one of .png, .jpg, .webp, .tif"),
        (["in/a.png", "-o", "out.jpg", "--format", "png"], "is a name for jpeg"),
        (["in/a.png", "-o", "out.png", "--suffix", "_x4"], "--suffix is for a folder"),
        (["in/*.bmp", "-o", "out.png"], "give a folder as OUT"),
        (["in/*.jpg", "-o", "out"], "nothing matches in/*.jpg"),
        (["in", "-o", "-"], "standard output takes one image"),
        (["-", "-", "-o", "out"], "give - once"),
        (["in", "more", "-o", "out"], "would both become"),
        (["in/b.png", "-o", "old.png"], "old.png already there; --overwrite"),
        (["in/a.png", "in/b.png", "-o", "out.png"], "give a folder as OUT"),
        (["in", "-o", "out.png"], "give a folder as OUT"),
        (["in/a.png", "-o", "in/b"], "cannot be created"),
        (["in/a.png", "-o", "out", "--device", "gpu"], "unknown device"),
        (["in/a.png", "-o", "out", "--precision", "fp16"], "precision"),
        (["in/a.png", "-o", "out", "--runtime", "openvino"], "runtime"),
    ],
)
def test_mistakes_are_found_before_anything_is_computed(tmp_path, monkeypatch, capsys, arguments, words):
    for name in ("in/a.png", "in/a.bmp", "in/b.png", "more/A.png"):
        save(tmp_path / name)
    save(tmp_path / "old.png")
    (tmp_path / "in" / "b").write_text("a file, not a folder")
    (tmp_path / "link.png").symlink_to(tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert upscale(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert any(word in error for word in words.split("|"))
    assert contents(tmp_path) == before


def test_unknown_methods_are_listed(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        upscale(tmp_path / "a.png", "-o", tmp_path / "out", method="esrgan")
    assert "srresnet" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "value"), [("--jobs", "0"), ("--jobs", "two"), ("--format", "gif")])
def test_unusable_flags(tmp_path, capsys, flag, value):
    with pytest.raises(SystemExit, match="2"):
        upscale(save(tmp_path / "a.png"), "-o", tmp_path / "out", flag, value)
    assert f"argument {flag}" in capsys.readouterr().err
