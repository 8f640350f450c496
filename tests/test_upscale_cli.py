import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sr.__main__ import main
from sr.images import MAX_INPUT_PIXELS


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
    first, second, other = (picture() // i for i in (1, 2, 3))
    save(tmp_path / "in" / "b.bmp", second)
    save(tmp_path / "in" / "a.png", first)
    save(tmp_path / "in" / "deeper" / "c.png")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    save(tmp_path / "other.v2.png", other)
    out = tmp_path / "new" / "folder"
    assert upscale(tmp_path / "in", tmp_path / "other.v2.png", tmp_path / "in" / "a.png", "-o", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "other.v2.png"]
    for name, expected in (("a", first), ("b", second), ("other.v2", other)):
        assert (np.asarray(Image.open(out / f"{name}.png"))[::4, ::4] == expected).all()


def test_an_old_result_is_replaced(tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    assert upscale(save(tmp_path / "a.png"), "-o", tmp_path / "out.png") == 0
    assert Image.open(tmp_path / "out.png").size == (36, 24)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "out.png"]


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
        (["in/a.png", "-o", "out.jpg"], "results are PNG"),
        (["in/a.png", "in/b.png", "-o", "out.png"], "give a folder as OUT"),
        (["in", "-o", "out.png"], "give a folder as OUT"),
        (["in/a.png", "-o", "in/b"], "cannot be created"),
        (["in/a.png", "-o", "out", "--device", "gpu"], "unknown device"),
        (["in/a.png", "-o", "out", "--precision", "fp16"], "precision"),
    ],
)
def test_mistakes_are_found_before_anything_is_computed(tmp_path, monkeypatch, capsys, arguments, words):
    for name in ("in/a.png", "in/a.bmp", "in/b.png", "more/A.png"):
        save(tmp_path / name)
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
