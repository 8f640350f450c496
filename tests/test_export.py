import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from safetensors.torch import save_file

import sr
from sr.__main__ import main
from sr.methods import WEIGHTS
from sr.models import SRResNet

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
SIZES = [(24, 24), (17, 30), (9, 11), (1, 1)]


def run(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A tiny network whose batch normalisations and range are like a trained one's."""
    config = {"num_blocks": 1, "channels": 8}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = SRResNet(**config).train()
        for _ in range(20):
            output = net(torch.rand(4, 3, 16, 16))
        net.tail_conv.weight /= 2 * output.std()
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(net.state_dict(), path)
    card = {"architecture": {"name": "SRResNet", "scale": 4, **config}, "data": "Prüfbilder"}
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory) -> dict[str, Path]:
    """The tiny network in every format."""
    folder = tmp_path_factory.mktemp("exported")
    files = {format: folder / f"tiny.x4{suffix}" for format, suffix in SUFFIXES.items()}
    for format, file in files.items():
        assert run("--method", "srgan", "--weights", weights, "--format", format, "-o", file) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "tiny.x4.bin",
        "tiny.x4.onnx",
        "tiny.x4.pt2",
        "tiny.x4.xml",
    ]
    return files


def runner(file: Path):
    """What another program would do with the file: float32 (N, 3, H, W) -> float32 (N, 3, 4H, 4W)."""
    if file.suffix == ".onnx":
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return lambda lr: session.run(None, {"lr": lr})[0]
    if file.suffix == ".xml":
        model = openvino.compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda lr: model(lr)[0]
    module = torch.export.load(file).module()
    return lambda lr: module(torch.from_numpy(lr)).detach().numpy()


def metadata(file: Path) -> dict[str, str]:
    if file.suffix == ".onnx":
        return {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    if file.suffix == ".xml":
        return openvino.Core().read_model(file).get_rt_info(["sr"]).value
    extra = {"metadata.json": ""}
    torch.export.load(file, extra_files=extra)
    return json.loads(extra["metadata.json"])


def assert_same_pictures(enlarge, upscaler, sizes) -> None:
    random = np.random.default_rng(0)
    for height, width in sizes:
        images = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        lr = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
        expected = np.stack([upscaler.upscale(image) for image in images])
        for some in (slice(0, 1), slice(0, 2)):
            result = enlarge(lr[some])
            assert result.dtype == np.float32
            assert result.min() >= 0
            assert result.max() <= 1
            levels = (result.transpose(0, 2, 3, 1) * 255).round().astype(int)
            assert levels.shape == (len(levels), 4 * height, 4 * width, 3)
            difference = np.abs(levels - expected[some].astype(int))
            assert difference.max() <= 1
            assert (difference == 0).mean() > 0.99
        assert expected.std() > 10 or height == 1


@pytest.mark.parametrize("format", SUFFIXES)
def test_file_gives_the_pictures_that_upscale_gives(format, exported, weights):
    upscaler = sr.load("srgan", device="cpu", precision="fp32", weights=weights)
    assert_same_pictures(runner(exported[format]), upscaler, SIZES)


@pytest.mark.parametrize("format", SUFFIXES)
def test_file_says_what_it_is(format, exported, weights):
    entries = metadata(exported[format])
    assert entries["title"] == "SRGAN"
    assert entries["scale"] == "4"
    assert "RGB in [0, 1]" in entries["input"]
    assert "RGB in [0, 1]" in entries["output"]
    assert "sRGB" in entries["colour_space"]
    assert entries["licence"]
    assert entries["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert entries["sr_version"] == sr.__version__
    assert entries["opset"]
    assert json.loads(entries["card"]) == json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))


def test_files_do_not_hold_the_folders_of_the_machine_that_made_them(exported):
    for file in [*exported.values(), exported["openvino"].with_suffix(".bin")]:
        assert str(Path(sr.__file__).parent).encode() not in file.read_bytes()


def test_onnx_names_its_sizes_and_has_no_batch_normalisation(exported):
    model = onnx.load(exported["onnx"], load_external_data=False)
    sides = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim] for value in model.graph.input
    ]
    assert sides == [["batch", 3, "height", "width"]]
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [20]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_shipped_srgan_gives_the_same_picture_in_onnx_runtime(tmp_path, capfd):
    file = tmp_path / "srgan.onnx"
    assert run("--format", "onnx", "-o", file) == 0
    output = capfd.readouterr()
    assert output.err == ""
    (line,) = output.out.splitlines()
    for part in (str(file), "6.2 MB", "opset 20", "24x24", "13x18", "differs from torch by at most"):
        assert part in line
    upscaler = sr.load("srgan", device="cpu", precision="fp32")
    assert_same_pictures(runner(file), upscaler, [(24, 24)])
    entries = metadata(file)
    assert entries["weights_sha256"] == hashlib.sha256((WEIGHTS / "srgan.safetensors").read_bytes()).hexdigest()
    assert entries["licence"].startswith("MIT")


def test_networks_for_luma_take_and_give_rgb_too(tmp_path):
    file = tmp_path / "luma.pt2"
    assert run("--method", "srcnn", "--format", "torch", "-o", file) == 0
    assert_same_pictures(runner(file), sr.load("srcnn", device="cpu", precision="fp32"), SIZES)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--format", "onnx", "-o", "srgan.pt2"], "srgan.pt2 does not end in .onnx"),
        (["--format", "openvino", "-o", "srgan"], "srgan does not end in .xml"),
        (["--format", "onnx", "-o", "nowhere/srgan.onnx"], "there is no folder nowhere; create it"),
        (["--format", "torch", "-o", "folder.pt2"], "folder.pt2 is a folder"),
        (["--format", "onnx", "--method", "bicubic", "-o", "bicubic.onnx"], "bicubic is a fixed filter"),
        (["--format", "onnx", "--method", "drcn", "-o", "drcn.onnx"], "drcn comes without weights"),
        (["--format", "onnx", "--weights", "mine.safetensors", "-o", "mine.onnx"], "mine.safetensors is missing"),
    ],
)
def test_what_cannot_be_exported_is_said_in_a_sentence(arguments, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("folder.pt2").mkdir()
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pt2"]


@pytest.mark.parametrize(
    ("format", "package", "install"),
    [("onnx", "onnxruntime", "pip install onnxruntime"), ("openvino", "openvino", "pip install openvino")],
)
def test_missing_package_is_named(format, package, install, tmp_path, monkeypatch, weights, capsys):
    monkeypatch.setitem(sys.modules, package, None)
    assert run("--weights", weights, "--format", format, "-o", tmp_path / f"tiny{SUFFIXES[format]}") == 2
    assert install in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_file_that_fails_its_check_leaves_what_was_there(tmp_path, weights, capsys):
    net = SRResNet(1, 8)
    torch.nn.init.constant_(net.tail_conv.bias, float("nan"))
    broken = tmp_path / "broken.safetensors"
    save_file(net.state_dict(), broken)
    broken.with_suffix(".json").write_bytes(weights.with_suffix(".json").read_bytes())
    out = tmp_path / "out"
    out.mkdir()
    (out / "broken.pt2").write_text("before")
    assert run("--weights", broken, "--format", "torch", "-o", out / "broken.pt2") == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "broken.pt2 was not written" in output.err
    assert "differs from torch's by nan" in output.err
    assert [path.name for path in out.iterdir()] == ["broken.pt2"]
    assert (out / "broken.pt2").read_text() == "before"


def test_help_text_needs_neither_torch_nor_the_formats_packages():
    code = "import sr.commands.export, sys; assert not {'torch', 'onnx', 'openvino', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(sr.__file__).parents[1])
