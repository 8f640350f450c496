"""`upscale --engine ray` on a cluster of this machine with two CPUs."""

import sys

import numpy as np
import pytest
from PIL import Image

from sr.__main__ import main


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason='Ray is not installed: pip install "ray[data]"')
    pytest.importorskip("ray.data", reason='Ray Data is not installed: pip install "ray[data]"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def upscale(*arguments) -> int:
    return main(["upscale", *map(str, arguments), "--engine", "ray", "--method", "nearest"])


def test_a_folder_on_a_cluster(cluster, tmp_path, monkeypatch, capsys):
    """Subfolders, a broken file, what is there already, the address of a folder, and a path of this process."""
    for i, name in enumerate(("a", "b", "x/c", "done")):
        path = tmp_path / "in" / f"{name}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (5, 4), (i, 0, 0)).save(path)
    (tmp_path / "in" / "broken.png").write_text("no image")
    (tmp_path / "in" / "out").mkdir()
    (tmp_path / "in" / "out" / "done_x4.png").write_bytes(b"old")
    Image.new("RGB", (5, 4), (3, 0, 0)).save(tmp_path / "more.png")
    monkeypatch.chdir(tmp_path)
    command = ["more.png", (tmp_path / "in").as_uri(), "-o", (tmp_path / "in" / "out").as_uri(), "--suffix", "_x4"]
    assert upscale(*command) == 2
    assert "1 of 6 results" in capsys.readouterr().err
    assert upscale(*command, "--skip-existing", "--actors", "1") == 1
    out, error = capsys.readouterr()
    assert sorted(out.splitlines()) == [f"{command[-3]}/{name}_x4.png" for name in ("a", "b", "more", "x/c")]
    assert "broken.png is not an image" in error
    assert "1 of 5 images could not be enlarged" in error
    for i, name in enumerate(("a", "b", "x/c", "more")):
        result = np.asarray(Image.open(tmp_path / "in" / "out" / f"{name}_x4.png"))
        assert result.shape == (16, 20, 3)
        assert (result == (i, 0, 0)).all()
    assert (tmp_path / "in" / "out" / "done_x4.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-", "-o", "out"], "not on standard input"),
        (["a.png", "-o", "b.png"], "needs a folder as OUT"),
        (["nowhere://a", "-o", "out"], "nowhere://a cannot be opened"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, words):
    pytest.importorskip("ray.data", reason='Ray Data is not installed: pip install "ray[data]"')
    Image.new("L", (3, 2)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert upscale(*arguments) == 2
    assert words in capsys.readouterr().err


def test_without_ray_one_sentence_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert upscale(tmp_path, "-o", tmp_path / "out") == 2
    assert 'pip install "ray[data]"' in capsys.readouterr().err


def test_addresses_need_ray(tmp_path, capsys):
    assert main(["upscale", "s3://bucket/photos", "-o", str(tmp_path / "out"), "--method", "nearest"]) == 2
    assert "--engine ray" in capsys.readouterr().err
