"""`upscale --engine ray` on a cluster of this machine with two CPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr.__main__ import main

ROOT = Path(__file__).parents[1]

# Ray ends the process that drives it when its cluster dies: it gets one of its own.
DRIVER = """
import json, sys
import ray
from sr.__main__ import main
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
print(json.dumps([main(command) for command in json.loads(sys.argv[1])]))
"""
ENGINE = ["--engine", "ray", "--method", "nearest"]


def upscale(*arguments) -> int:
    return main(["upscale", *map(str, arguments), *ENGINE])


def test_a_folder_on_a_cluster(tmp_path):
    """Subfolders, a broken file, what is there already, the address of a folder, and a path of this process."""
    pytest.importorskip("ray.data", reason='Ray Data is not installed: pip install "ray[data]"')
    for i, name in enumerate(("a", "b", "x/c", "done")):
        path = tmp_path / "in" / f"{name}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("RGB", (5, 4), (i, 0, 0)).save(path)
    (tmp_path / "in" / "broken.png").write_text("no image")
    (tmp_path / "in" / "out").mkdir()
    (tmp_path / "in" / "out" / "done_x4.png").write_bytes(b"old")
    Image.new("RGB", (5, 4), (3, 0, 0)).save(tmp_path / "more.png")
    places = ["more.png", (tmp_path / "in").as_uri(), "-o", (tmp_path / "in" / "out").as_uri()]
    command = ["upscale", *places, "--suffix", "_x4", *ENGINE]
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps([command, [*command, "--skip-existing", "--actors", "1"]])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *out, codes = done.stdout.splitlines()
    assert json.loads(codes) == [2, 1]
    error = done.stderr
    assert "1 of 6 results" in error
    assert sorted(out) == [f"{places[-1]}/{name}_x4.png" for name in ("a", "b", "more", "x/c")]
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
