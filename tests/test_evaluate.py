import hashlib
import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sr.__main__ import main
from sr.benchmark import BenchmarkSet
from sr.errors import SRError
from sr.evaluate import evaluate, format_table, write_json
from sr.images import read_rgb_array
from sr.losses import VGG_BLOCKS, VGGLoss
from sr.measures import VGGDistance
from sr.methods import Upscaler
from sr.metrics import psnr, ssim
from sr.models import SRResNet
from sr.paper import TABLE_2
from sr.resize import imresize

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "sr" / "weights"


def run(benchmark: Path, *arguments: object) -> int:
    return main(["evaluate", "--benchmark", str(benchmark), "--device", "cpu", *map(str, arguments)])


def as_tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None]


@pytest.fixture
def benchmark(tmp_path) -> Path:
    """Two sets, `Colour` with two images and `Grey` with a greyscale one."""
    random = np.random.default_rng(0)
    root = tmp_path / "benchmark"
    for name, images in {"Colour": ("img_001", "img_002"), "Grey": ("img_003",)}.items():
        for folder in ("HR", "LRx4"):
            (root / name / folder).mkdir(parents=True)
        for image in images:
            coarse = torch.from_numpy(random.integers(0, 256, (1, 3, 8, 10), dtype=np.uint8))
            hr = imresize(coarse, 8)
            for folder, tensor in (("HR", hr), ("LRx4", imresize(hr, 0.25))):
                picture = Image.fromarray(tensor[0].permute(1, 2, 0).numpy())
                picture = picture.convert("L") if name == "Grey" else picture
                picture.save(root / name / folder / f"{image}.png")
    return root


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory) -> Path:
    """Random weights in VGG16's layout; what they are does not matter here."""
    generator = torch.Generator().manual_seed(0)
    state, number, width = {}, 0, 3
    for block, convs in enumerate(VGG_BLOCKS["VGG16"]):
        for _ in range(convs):
            out = min(64 * 2**block, 512)
            kernel = torch.randn(out, width, 3, 3, generator=generator)
            state[f"features.{number}.weight"] = kernel * (2 / (9 * width)) ** 0.5
            state[f"features.{number}.bias"] = torch.zeros(out)
            width, number = out, number + 2
        number += 1
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(state, path)
    return path


def test_benchmark_set_pairs_the_images_in_the_order_of_their_names(benchmark):
    images = BenchmarkSet(benchmark, "Colour")
    assert len(images) == 2
    assert [image.name for image in images] == ["img_001", "img_002"]
    first = next(iter(images))
    assert (first.lr, first.hr) == tuple(benchmark / "Colour" / f / "img_001.png" for f in ("LRx4", "HR"))


def test_files_of_the_system_are_not_images(benchmark):
    (benchmark / "Colour" / "HR" / "._img_001.png").write_bytes(b"\0")
    (benchmark / "Colour" / "HR" / "Thumbs.db").write_bytes(b"\0")
    assert len(BenchmarkSet(benchmark, "Colour")) == 2


@pytest.mark.parametrize("protocol", ["paper", "standard"])
def test_evaluate_measures_every_image_against_hr(benchmark, protocol):
    results = evaluate(benchmark, ["Colour", "Grey"], ["nearest", "bicubic"])[protocol]
    assert list(results) == ["Colour", "Grey"]
    for name, of_set in results.items():
        assert list(of_set) == ["nearest", "bicubic"]
        for cell in of_set.values():
            assert cell["psnr"] == pytest.approx(np.mean([figures["psnr"] for figures in cell["images"].values()]))
            assert cell["ssim"] == pytest.approx(np.mean([figures["ssim"] for figures in cell["images"].values()]))
        for image in BenchmarkSet(benchmark, name):
            lr, hr = read_rgb_array(image.lr), read_rgb_array(image.hr)
            replicated = lr.repeat(4, axis=0).repeat(4, axis=1)
            assert of_set["nearest"]["images"][image.name] == {
                "psnr": psnr(replicated, hr, protocol),
                "ssim": ssim(replicated, hr, protocol),
            }
        assert of_set["bicubic"]["psnr"] > of_set["nearest"]["psnr"]


def test_both_protocols_come_out_of_one_pass(benchmark, monkeypatch):
    upscaled = []
    original = Upscaler.upscale
    monkeypatch.setattr(Upscaler, "upscale", lambda self, image: upscaled.append(image) or original(self, image))
    results = evaluate(benchmark, ["Colour"], ["nearest"])
    assert len(upscaled) == 2
    assert list(results) == ["paper", "standard"]
    assert results["paper"]["Colour"]["nearest"]["ssim"] != results["standard"]["Colour"]["nearest"]["ssim"]


def test_vgg_distance_is_the_loss_between_8_bit_images(benchmark, vgg_file):
    vgg54 = VGGLoss("vgg54", vgg_file)
    results = evaluate(
        benchmark, ["Colour"], ["nearest", "bicubic"], protocols=["standard"], measures=[VGGDistance(vgg54)]
    )
    figures = results["standard"]["Colour"]["nearest"]
    expected = {}
    for image in BenchmarkSet(benchmark, "Colour"):
        hr, lr = as_tensor(read_rgb_array(image.hr)), as_tensor(read_rgb_array(image.lr))
        replicated = lr.repeat_interleave(4, 2).repeat_interleave(4, 3)
        expected[image.name] = float(vgg54(replicated / 127.5 - 1, hr / 127.5 - 1))
        assert figures["images"][image.name]["vgg54"] == pytest.approx(expected[image.name], rel=1e-5)
    assert figures["vgg54"] == pytest.approx(np.mean(list(expected.values())), rel=1e-5)
    assert "VGG54" in format_table(results["standard"], "standard")


def test_command_prints_a_table_and_writes_json(benchmark, tmp_path, capsys, vgg_file):
    file = tmp_path / "out" / "figures.json"
    choice = ["--sets", "Colour", "Grey", "--methods", "nearest", "bicubic", "--protocol", "standard"]
    code = run(benchmark, *choice, "--json", file, "--vgg", vgg_file)
    assert code == 0
    output = capsys.readouterr()
    assert "6/6" in output.err  # the progress bar
    document = json.loads(file.read_text())
    assert [path.name for path in file.parent.iterdir()] == ["figures.json"]
    assert document["protocol"] == "standard"
    with_vgg = evaluate(
        benchmark,
        ["Colour", "Grey"],
        ["nearest", "bicubic"],
        protocols=["standard"],
        measures=[VGGDistance(VGGLoss("vgg54", vgg_file))],
    )
    assert document["results"] == with_vgg["standard"]
    assert document["versions"]["torch"] == torch.__version__
    assert document["vgg54"] == {
        "network": "VGG16 relu5_3",
        "sha256": hashlib.sha256(vgg_file.read_bytes()).hexdigest(),
    }
    lines = output.out.splitlines()
    for name in ("Colour", "Grey"):
        for method in ("nearest", "bicubic"):
            cell = document["results"][name][method]
            line = next(line for line in lines if name in line and method in line)
            assert f"{cell['psnr']:.2f}" in line
            assert f"{cell['ssim']:.4f}" in line
            assert f"{cell['vgg54']:.4f}" in line


def test_command_line_keeps_output_and_progress_apart_and_records_itself(benchmark, tmp_path):
    file = tmp_path / "figures.json"
    arguments = ["evaluate", "--sets", "Grey", "--methods", "nearest", "--json", str(file)]
    result = subprocess.run(
        [sys.executable, "-m", "sr", *arguments, "--benchmark", str(benchmark)],
        cwd=ROOT,
        env={**os.environ, "SR_DATA": str(benchmark.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(result.stdout.splitlines()) == 3  # header, rule, one row
    assert "1/1" in result.stderr
    command = shlex.split(json.loads(file.read_text())["command"])
    expected = ["python", "-m", "sr", *arguments[:-1], "$SR_DATA/figures.json", "--benchmark", "$SR_DATA/benchmark"]
    assert command == expected


def test_network_weights_are_named_by_their_hash_and_can_be_replaced(benchmark, tmp_path, capsys):
    torch.manual_seed(0)
    config = {"num_blocks": 1, "channels": 4}
    checkpoint = tmp_path / "tiny.safetensors"
    save_file(SRResNet(**config).state_dict(), checkpoint)
    card = {"architecture": {"name": "SRResNet", "scale": 4, **config}}
    checkpoint.with_suffix(".json").write_text(json.dumps(card))
    documents = []
    for extra in ([], ["--weights", f"srresnet={checkpoint}"]):
        assert run(benchmark, "--sets", "Grey", "--methods", "srresnet", *extra, "--json", tmp_path / "out.json") == 0
        documents.append(json.loads((tmp_path / "out.json").read_text()))
    hashes = [document["weights"]["srresnet"]["sha256"] for document in documents]
    assert hashes == [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in (SHIPPED / "srresnet.safetensors", checkpoint)
    ]
    assert documents[0]["results"] != documents[1]["results"]
    assert all(document["precision"] == "fp32" for document in documents)


def test_table_stands_next_to_the_papers_figures():
    cell = {"psnr": 28.4351, "ssim": 0.82144, "images": {"img_001": {}}}
    paper = format_table({"Set5": {"bicubic": cell}, "Mine": {"bicubic": cell}}, "paper").splitlines()
    rows = [[text.strip() for text in line.split("|")[1:-1]] for line in paper]
    assert rows[2] == ["Set5", "bicubic", "1", "28.44", "0.8214", "28.43", "0.8211"]
    assert rows[3] == ["Mine", "bicubic", "1", "28.44", "0.8214", "", ""]
    assert len({len(line) for line in paper}) == 1
    assert "28.43" not in format_table({"Set5": {"bicubic": cell}}, "standard")


def test_papers_table_2_shows_its_findings():
    for name in ("Set5", "Set14", "BSD100"):
        for figure in (0, 1):
            ranking = sorted(TABLE_2, key=lambda method: TABLE_2[method][name][figure])
            assert ranking[-3:] == ["drcn", "srresnet", "hr"]
            assert ranking[0] == "nearest"
    # The paper's point: on BSD100 bicubic measures better than SRGAN, which raters prefer by far.
    assert TABLE_2["bicubic"]["BSD100"] > TABLE_2["srgan"]["BSD100"]


def test_equal_images_are_infinite_in_the_result_and_valid_json(tmp_path):
    root = tmp_path / "benchmark"
    for folder, side in (("HR", 32), ("LRx4", 8)):
        (root / "Flat" / folder).mkdir(parents=True)
        Image.new("RGB", (side, side), (90, 120, 30)).save(root / "Flat" / folder / "a.png")
    results = evaluate(root, ["Flat"], ["nearest"], protocols=["paper"])["paper"]
    assert results["Flat"]["nearest"]["psnr"] == math.inf
    write_json(tmp_path / "flat.json", {"protocol": "paper", "results": results})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    written = json.loads((tmp_path / "flat.json").read_text(), parse_constant=refuse)
    assert written["results"]["Flat"]["nearest"]["psnr"] == "Infinity"
    assert float(written["results"]["Flat"]["nearest"]["images"]["a"]["psnr"]) == math.inf
    assert "inf" in format_table(results, "paper")


def damage_missing_set(root):
    (root / "Colour").rename(root / "Other")
    return "Colour"


def damage_missing_folder(root):
    for file in (root / "Colour" / "LRx4").iterdir():
        file.unlink()
    (root / "Colour" / "LRx4").rmdir()
    return "LRx4"


def damage_empty_folder(root):
    for file in (root / "Colour" / "HR").iterdir():
        file.unlink()
    return "HR holds no .png"


def damage_missing_lr(root):
    (root / "Colour" / "LRx4" / "img_002.png").unlink()
    return "LRx4 lacks img_002.png"


def damage_missing_hr(root):
    (root / "Colour" / "HR" / "img_001.png").unlink()
    return "HR lacks img_001.png"


def damage_size(root):
    Image.new("RGB", (81, 64)).save(root / "Colour" / "HR" / "img_002.png")
    return "img_002.png is 81x64, expected 80x64"


def damage_not_an_image(root):
    (root / "Colour" / "HR" / "img_002.png").write_text("hello")
    return "img_002.png"


def damage_truncated(root):
    file = root / "Colour" / "LRx4" / "img_001.png"
    file.write_bytes(file.read_bytes()[:-40])
    return "img_001.png"


@pytest.mark.parametrize(
    "damage",
    [
        damage_missing_set,
        damage_missing_folder,
        damage_empty_folder,
        damage_missing_lr,
        damage_missing_hr,
        damage_size,
        damage_not_an_image,
        damage_truncated,
    ],
)
def test_an_unusable_benchmark_is_named_before_anything_is_written(benchmark, tmp_path, capsys, damage):
    expected = damage(benchmark)
    file = tmp_path / "figures.json"
    code = run(benchmark, "--sets", "Grey", "Colour", "--methods", "nearest", "--json", file)
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert error.count("\n") == 1
    assert not file.exists()


def test_an_unknown_method_is_answered_with_the_known_ones(benchmark):
    with pytest.raises(
        SRError, match=r"lanczos.*nearest, bicubic, srcnn, drcn, espcn, srresnet, .*srgan, hr, or folder:PATH"
    ):
        evaluate(benchmark, ["Grey"], ["nearest", "lanczos"])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"srgan": Path("x.safetensors")}, "srgan"),  # not among the methods
        ({"nearest": Path("x.safetensors")}, "nearest"),  # has no weights
        ({"srresnet": Path("missing.safetensors")}, "missing.safetensors"),
    ],
)
def test_weights_that_cannot_be_used(benchmark, weights, expected):
    with pytest.raises(SRError, match=expected):
        evaluate(benchmark, ["Grey"], ["nearest", "srresnet"], weights=weights)


@pytest.mark.parametrize("argument", ["srresnet", "=file", "srresnet="])
def test_weights_argument_needs_a_method_and_a_file(benchmark, argument, capsys):
    with pytest.raises(SystemExit) as stop:
        run(benchmark, "--weights", argument)
    assert stop.value.code == 2
    assert "METHOD=FILE" in capsys.readouterr().err


def test_a_json_file_that_cannot_be_written_is_refused_at_once(benchmark, tmp_path, capsys, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr("sr.evaluate.BenchmarkSet", None)  # nothing may be measured
    for target in (tmp_path, tmp_path / "taken" / "out.json"):
        code = run(benchmark, "--sets", "Grey", "--methods", "nearest", "--json", target)
        assert code == 2
        assert str(target) in capsys.readouterr().err
