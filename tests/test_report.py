"""`python -m sr evaluate --report`: the paper's tables, measured."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sr.__main__ import main
from sr.images import read_rgb_array
from sr.measures import LPIPS, Blur
from sr.methods import WEIGHTS
from sr.paper import ORDER, TABLE_1, TABLE_2
from sr.report.sheets import CROP, GAP, HEAD, NAMES
from sr.resize import hr_and_lr

FILES = {"paper.json", "standard.json", "table.csv", "images.csv", "report.md", "figure.png", "plane.png"}
FILES |= {"seconds.json", "sheets/Set5.png", "sheets/Mine.png"}
MEASURED = ["nearest", "bicubic", "espcn", "selfexsr", "hr"]
METRIC = "torchmetrics.image.LearnedPerceptualImagePatchSimilarity"


def refuse(*_arguments, **_options):
    raise OSError("no network")


@pytest.fixture(scope="module", autouse=True)
def _no_network():
    """LPIPS' network cannot be downloaded, on any machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(METRIC, refuse)
        yield


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory) -> Path:
    """Two sets of smooth random pictures, one called as the paper's; in "other" lie another method's pictures."""
    folder = tmp_path_factory.mktemp("report")
    random = np.random.default_rng(0)
    for name, images in {"Set5": ("img_001", "img_002"), "Mine": ("a",)}.items():
        for kind in (f"{name}/HR", f"{name}/LRx4", f"other/{name}"):
            (folder / kind).mkdir(parents=True)
        for image in images:
            coarse = Image.fromarray(random.integers(0, 256, (8, 10, 3), dtype=np.uint8))
            hr, lr = hr_and_lr(np.array(coarse.resize((80, 64), Image.Resampling.BICUBIC)))
            Image.fromarray(hr).save(folder / name / "HR" / f"{image}.png")
            Image.fromarray(lr).save(folder / name / "LRx4" / f"{image}.png")
            Image.fromarray(hr // 2 * 2).save(folder / "other" / name / f"{image}.png")
    return folder


def run(benchmark: Path, *arguments: object) -> int:
    words = ["evaluate", "--benchmark", benchmark, "--sets", "Set5", "Mine", "--device", "cpu", *arguments]
    return main([str(word) for word in words])


def make(benchmark: Path, folder: Path, vgg: Path) -> Path:
    """A report of filters, a network, one without weights, pictures made elsewhere and the originals."""
    methods = ["nearest", "bicubic", "drcn", "espcn", f"selfexsr=folder:{benchmark / 'other'}", "hr"]
    assert run(benchmark, "--report", folder, "--methods", *methods, "--vgg", vgg) == 0
    return folder


@pytest.fixture(scope="module")
def report(benchmark, tmp_path_factory, vgg_files) -> Path:
    return make(benchmark, tmp_path_factory.mktemp("made") / "report", vgg_files["VGG16"])


def test_files_and_a_second_run_that_gives_the_same_bytes(benchmark, report, vgg_files):
    def contents() -> dict[str, bytes]:
        files = (file for file in report.rglob("*") if file.is_file())
        return {str(file.relative_to(report).as_posix()): file.read_bytes() for file in files}

    first = contents()
    assert set(first) == FILES
    make(benchmark, report, vgg_files["VGG16"])
    assert contents() == first


def test_table_holds_what_was_measured_beside_what_the_paper_cites(report):
    table = pd.read_csv(report / "table.csv")
    documents = {protocol: json.loads((report / f"{protocol}.json").read_text()) for protocol in ("paper", "standard")}
    for protocol, document in documents.items():
        assert document["protocol"] == protocol
        for name, of_set in document["results"].items():
            assert list(of_set) == MEASURED
            for method, cell in of_set.items():
                (row,) = table.query("set == @name and method == @method and protocol == @protocol").to_dict("records")
                assert row["images"] == len(cell["images"]) == (2 if name == "Set5" else 1)
                assert row["psnr"] == pytest.approx(float(cell["psnr"]))
                for key in ("ssim", "vgg54", "blur"):
                    assert row[key] == pytest.approx(cell[key])
                if protocol == "paper" and name == "Set5" and method != "hr":
                    assert (row["paper_psnr"], row["paper_ssim"]) == TABLE_2[method]["Set5"]
                    assert row["psnr_difference"] == pytest.approx(cell["psnr"] - TABLE_2[method]["Set5"][0])
                else:
                    assert math.isnan(row["psnr_difference"])
    of_set5 = table.query("set == 'Set5' and protocol == 'paper'")
    assert list(of_set5["method"]) == list(ORDER)
    notes = dict(zip(of_set5["method"], of_set5["note"], strict=True))
    assert notes["drcn"] == "not trained"
    assert notes["srgan"] == "not asked for"
    assert set(table.query("set == 'Mine'")["method"]) == {*MEASURED, "drcn"}


def test_every_image_has_its_figures(report):
    images = pd.read_csv(report / "images.csv")
    assert len(images) == 3 * len(MEASURED)
    (row,) = images.query("set == 'Set5' and image == 'img_002' and method == 'espcn'").to_dict("records")
    for protocol in ("paper", "standard"):
        document = json.loads((report / f"{protocol}.json").read_text())
        cell = document["results"]["Set5"]["espcn"]["images"]["img_002"]
        assert row[f"psnr_{protocol}"] == pytest.approx(cell["psnr"])
        assert row[f"ssim_{protocol}"] == pytest.approx(cell["ssim"])


def test_originals_are_perfect_and_pictures_made_elsewhere_are_measured_as_they_are(report, benchmark):
    results = json.loads((report / "standard.json").read_text())["results"]["Set5"]
    assert results["hr"]["psnr"] == "Infinity"
    assert (results["hr"]["ssim"], results["hr"]["vgg54"]) == (1, 0)
    assert 48 < results["selfexsr"]["psnr"] < 58  # the last bit is gone
    assert results["nearest"]["vgg54"] > 0


def test_markdown_says_what_is_missing_and_why(report):
    text = (report / "report.md").read_text()
    of_set5 = text.partition("## Set5")[2].partition("## Mine")[0]
    rows = {line.split("|")[1].strip(): line for line in of_set5.splitlines() if line.startswith("| ")}
    assert "not trained" in rows["DRCN"]
    assert "31.52" in rows["DRCN"]  # the paper's
    assert "not asked for" in rows["SRGAN-MSE"]
    assert "LPIPS: empty, because AlexNet's weights could not be downloaded (no network)" in text
    assert "VGG54: squared distance of VGG16 relu5_3" in text
    assert "-0.00" not in text
    for picture in ("figure.png", "plane.png"):
        assert f"]({picture})" in text


def test_sheet_shows_the_middle_of_every_picture(report, benchmark):
    sheet = read_rgb_array(report / "sheets" / "Set5.png")
    hr = read_rgb_array(benchmark / "Set5" / "HR" / "img_002.png")
    left, top = NAMES + (len(MEASURED) - 1) * (CROP + GAP), HEAD + CROP + GAP
    assert np.array_equal(sheet[top : top + 64, left : left + 80], hr)


def test_times_are_kept_and_measured_again_for_other_weights_and_processors(benchmark, tmp_path, monkeypatch):
    folder = tmp_path / "report"
    assert run(benchmark, "--methods", "nearest", "espcn", "--report", folder) == 0
    seconds = json.loads((folder / "seconds.json").read_text())
    assert all(entry["seconds_per_megapixel"] > 0 for entry in seconds.values())
    for entry in seconds.values():
        entry["seconds_per_megapixel"] = 1234.0
    seconds["espcn"]["weights"] = "others"
    (folder / "seconds.json").write_text(json.dumps(seconds))
    assert run(benchmark, "--methods", "nearest", "espcn", "--report", folder) == 0
    table = pd.read_csv(folder / "table.csv").dropna(subset="seconds_per_megapixel").set_index("method")
    assert (table.loc["nearest", "seconds_per_megapixel"] == 1234).all()
    assert (table.loc["espcn", "seconds_per_megapixel"] < 1234).all()
    assert "VGG54: empty, because no VGG weights were given (--vgg)" in (folder / "report.md").read_text()
    assert not (folder / "plane.png").exists()
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "another model's instructions")
    assert run(benchmark, "--methods", "nearest", "--report", folder) == 0
    assert json.loads((folder / "seconds.json").read_text())["nearest"]["seconds_per_megapixel"] < 1234


def test_cards_get_the_figures_of_shipped_weights_alone(benchmark, tmp_path, monkeypatch):
    for name in ("espcn.safetensors", "espcn.json"):
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    for module in ("sr.methods", "sr.report.cards", "sr.commands.evaluate"):
        monkeypatch.setattr(f"{module}.WEIGHTS", tmp_path)
    before = json.loads((tmp_path / "espcn.json").read_text())
    own = ["--weights", f"espcn={WEIGHTS / 'espcn.safetensors'}"]
    arguments = ["--methods", "nearest", "espcn", "--report", tmp_path / "report", "--update-cards"]
    assert run(benchmark, *arguments, *own) == 0
    assert json.loads((tmp_path / "espcn.json").read_text()) == before
    assert run(benchmark, *arguments) == 0
    after = json.loads((tmp_path / "espcn.json").read_text())
    measured = json.loads((tmp_path / "report" / "paper.json").read_text())["results"]["Set5"]["espcn"]
    assert after["metrics"]["paper"]["Set5"]["psnr"] == round(measured["psnr"], 4)
    assert {key: value for key, value in after.items() if key != "metrics"} == {
        key: value for key, value in before.items() if key != "metrics"
    }


def test_figure_of_chosen_crops(benchmark, tmp_path):
    crop = f"{benchmark / 'Set5' / 'HR' / 'img_001.png'}:8,4,40,32"
    assert run(benchmark, "--methods", "bicubic", "--report", tmp_path / "report", "--crops", crop) == 0
    figure = read_rgb_array(tmp_path / "report" / "figure.png")
    hr = read_rgb_array(benchmark / "Set5" / "HR" / "img_001.png")
    assert np.array_equal(figure[:64:2, 88:168:2], hr[4:36, 8:48])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--crops", "a.png"], "--report"),
        (["--update-cards"], "--report"),
        (["--report", "report", "--json", "a.json"], "--json"),
        (["--methods", "folder:"], "names no folder"),
        (["--methods", "srgan=folder:x"], "one of this project's methods"),
        (["--methods", "drcn"], "drcn comes without weights"),
        (["--methods", "mine=folder:x", "mine=folder:y"], "two folders of pictures are called mine"),
    ],
)
def test_user_errors(benchmark, tmp_path, capsys, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert run(benchmark, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert not any(tmp_path.rglob("*.md"))


@pytest.fixture
def damaged(benchmark, tmp_path) -> Path:
    """A copy of which img_001's LR image is missing, img_002's picture of another method has a wrong size."""
    for file in benchmark.rglob("*.png"):
        copy = tmp_path / "damaged" / file.relative_to(benchmark)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    folder = tmp_path / "damaged"
    Image.new("RGB", (79, 64)).save(folder / "other" / "Mine" / "a.png")
    (folder / "Set5" / "LRx4" / "img_001.png").unlink()
    (folder / "other" / "Set5" / "img_002.png").unlink()
    return folder


def test_unusable_images_are_refused_or_left_out_for_all_and_named(damaged, tmp_path, capsys):
    other = f"other=folder:{damaged / 'other'}"
    assert run(damaged, "--methods", "nearest") == 2
    assert "LRx4 lacks img_001.png" in capsys.readouterr().err
    out = ["--protocol", "paper", "--json", tmp_path / "out.json"]
    assert run(damaged, "--methods", "nearest", "--unusable", "skip", *out) == 0
    assert f"left out: {damaged / 'Set5' / 'LRx4'} lacks img_001.png" in capsys.readouterr().err
    results = json.loads((tmp_path / "out.json").read_text())["results"]
    assert list(results["Set5"]["nearest"]["images"]) == ["img_002"]
    # With the other method's pictures nothing is left of Set5.
    assert run(damaged, "--methods", "nearest", other, "--unusable", "skip") == 2
    assert "no image is left" in capsys.readouterr().err


def test_sizes_and_names_of_pictures_made_elsewhere_are_checked(damaged, capsys):
    arguments = ["--sets", "Mine", "--methods", f"other=folder:{damaged / 'other'}"]
    assert run(damaged, *arguments) == 2
    assert "a.png is 79x64, expected 80x64" in capsys.readouterr().err


def test_a_pattern_finds_pictures_under_other_names(benchmark, tmp_path):
    for file in (benchmark / "other" / "Mine").iterdir():
        (tmp_path / "Mine" / "x4").mkdir(parents=True)
        (tmp_path / "Mine" / "x4" / f"{file.stem}_SRF_4_SelfExSR.png").write_bytes(file.read_bytes())
    pattern = f"selfexsr=folder:{tmp_path}/{{set}}/x4/{{name}}_SRF_4_SelfExSR.png"
    out = tmp_path / "out.json"
    assert run(benchmark, "--sets", "Mine", "--methods", pattern, "hr", "--json", out) == 0
    assert list(json.loads(out.read_text())["results"]["Mine"]) == ["selfexsr", "hr"]


def test_blur_tells_a_blurred_picture_without_its_original(benchmark):
    hr = read_rgb_array(Path(__file__).parents[1] / "demo" / "examples" / "hr" / "cat.png")
    small = Image.fromarray(hr).resize((hr.shape[1] // 4, hr.shape[0] // 4), Image.Resampling.BICUBIC)
    blurred = np.asarray(small.resize(hr.shape[1::-1], Image.Resampling.BICUBIC))
    measure = Blur()(np.zeros_like(hr))
    assert 0 < measure(hr) < measure(blurred) < 1


def test_lpips_gets_pictures_in_the_range_of_its_network(monkeypatch):
    class Metric(torch.nn.Module):
        def __init__(self, net_type: str):
            super().__init__()

        def forward(self, picture, original):
            assert picture.shape == original.shape == (1, 3, 8, 9)
            return (picture - original).max()

        def reset(self):
            pass

    monkeypatch.setattr(METRIC, Metric)
    black, white = np.zeros((8, 9, 3), np.uint8), np.full((8, 9, 3), 255, np.uint8)
    assert LPIPS(torch.device("cpu"))(black)(white) == 2


def test_the_losses_of_table_1_are_as_the_paper_found_them():
    for name in ("Set5", "Set14"):
        ranking = sorted(TABLE_1, key=lambda method: TABLE_1[method][name][0])
        assert ranking[0] == "srgan"
        assert ranking[-1] == "srresnet"
