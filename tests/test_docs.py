"""Every command and every figure of the README."""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

import sr.speed.train as speed
import train
from mos_study import analyze
from sr.__main__ import main as sr_main
from sr.config import parse_assignments
from sr.speed import machine

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
SMALL = "num_blocks=1 channels=8 discriminator_channels=4 crop_size=32 batch_size=2"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, vgg_files) -> Path:
    """A folder in which the README's commands find what they name: photos, a tiny $SR_DATA, and the examples."""
    folder = tmp_path_factory.mktemp("readme")
    with Image.open(ROOT / "demo" / "examples" / "hr" / "cat.png") as cat:
        hr = cat.convert("RGB").crop((100, 60, 196, 156))
    lr = hr.resize((24, 24), Image.Resampling.BICUBIC)
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "photos/a.png", "more.png"):
        lr.save(folder / name)
    for name in ("Set5", "Set14", "BSD100"):
        for kind, image in (("HR", hr), ("LRx4", lr)):
            (folder / "data" / "benchmark" / name / kind).mkdir(parents=True)
            image.save(folder / "data" / "benchmark" / name / kind / "a.png")
    (folder / "data" / "train").mkdir()
    for i in range(2):
        hr.rotate(90 * i).save(folder / "data" / "train" / f"{i}.png")
    shutil.copy(vgg_files["VGG16"], folder / "data" / "vgg16_imagenet_features.safetensors")
    for name in ("sr", "demo", "train.py"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(
        ROOT / "results" / "training", folder / "results" / "training", ignore=shutil.ignore_patterns("*.png")
    )
    shutil.copy(ROOT / "results" / "paper.json", folder / "results")
    shutil.copytree(ROOT / "mos_study" / "configs", folder / "mos_study" / "configs")
    return folder


def run(command: str) -> int:
    """The command's exit code, in this process, as starting torch takes seconds. What takes long is cut short."""
    words = shlex.split(os.path.expandvars(command))
    if "--count" in words:
        words[words.index("--count") + 1] = "2"
    if words[:3] == ["python", "-m", "sr"]:
        return sr_main(words[3:] + (["--seconds", "0.1"] if words[3] == "bench" else []))
    if words[0] == "cp":
        return int(not shutil.copy(*words[1:]))
    if words[:2] == ["python", "mos_study/analyze.py"]:
        return analyze.main(words[2:] + (["--studies", "4"] if "--power" in words else []))
    if words[:2] == ["python", "-m"]:
        program = importlib.import_module(words[2])
        # The app serves until it is stopped; tests/test_study_browser.py uses it.
        return 0 if words[2] == "mos_study.app" else program.main(words[3:])
    assert words[:2] == ["python", "train.py"], command
    words = words[2:]
    if "--minutes" in words:
        short = {"--run-book": "0.4", "--resume": "0.03"}
        words[words.index("--minutes") + 1] = next((short[flag] for flag in short if flag in words), "0.02")
    takes_settings = "--config" in words or "--run-book" in words
    return train.main(words + (["--set", *SMALL.split()] if takes_settings else []))


def no_download(*_arguments, **_options):
    raise OSError("not in a test")


def test_every_command_works_as_written(workplace, monkeypatch):
    """In the README's order, because later commands use what earlier ones made."""
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("SR_DATA", "data")
    monkeypatch.setattr(
        speed, "measure", partial(speed.measure, overrides=parse_assignments([*SMALL.split(), "init=null"]))
    )
    monkeypatch.setitem(machine.SIZES, "cpu", (64,))
    monkeypatch.setattr("sr.speed.infer.PICTURE", (32, 32))
    monkeypatch.setattr("torchmetrics.image.LearnedPerceptualImagePatchSimilarity", no_download)
    for command in COMMANDS:
        if not command.startswith("make "):
            assert run(command) == 0, command
    for made in (
        "photo_x4.png",
        "enlarged/a.png",
        "enlarged/more.png",
        "figure.png",
        "report/report.md",
        "runs/srgan/srgan.json",
        "runs/retouched/srgan.json",
        "runs/curves.png",
        "results/artefacts.csv",
        "results/training/srresnet.png",
        "power/power-analysis.md",
        "results/study-simulated/score_distributions.png",
        "results/speed-train.json",
        "runs/book/deliver/summary.md",
    ):
        assert Path(made).is_file(), made
    assert json.loads(Path("report/standard.json").read_text())["protocol"] == "standard"


def test_make_targets_exist():
    targets = [command.split()[1] for command in COMMANDS if command.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in [*targets, "study"]:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_python_example_works(workplace):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=workplace, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(workplace / "photo_x4.png") as image:
        assert image.size == (96, 96)


def test_files_that_the_readme_names_are_there():
    for path in re.findall(r"\]\(((?!http|#)[^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_quality_table_is_what_was_measured():
    """Every row of the README's table, from the JSON that its commands wrote."""
    results = {p: json.loads((ROOT / "results" / f"{p}.json").read_text())["results"] for p in ("paper", "standard")}
    rows = re.findall(r"^\| (Set5|Set14|BSD100) \| ([\w-]+) \|(.*)\|$", README, re.MULTILINE)
    measured = {(of_set, method) for of_set, methods in results["paper"].items() for method in methods}
    assert {(of_set, method) for of_set, method, _ in rows} == {cell for cell in measured if cell[1] != "hr"}
    for of_set, method, cells in rows:
        paper, standard = (results[protocol][of_set][method] for protocol in ("paper", "standard"))
        measured = [f"{figures['psnr']:.2f} / {figures['ssim']:.4f}" for figures in (paper, standard)]
        measured.append(f"{standard['vgg54']:.1f}")
        assert [cell.strip() for cell in cells.split("|")[:3]] == measured, (of_set, method)


def test_table_of_simulated_scores_is_what_was_analysed():
    analysis = json.loads((ROOT / "results" / "study-simulated" / "analysis.json").read_text())
    assert analysis["simulated"] is True
    cells = {(cell["method"], cell["dataset"]): cell for cell in analysis["mos"]}
    rows = re.findall(r"^\| ([\w-]+) \| ([^|]+ \(.*\)) \| (.*) \| (.*) \|$", README, re.MULTILINE)
    assert {method for method, *_ in rows} == {method for method, _ in cells}
    for method, *shown in rows:
        for dataset, text in zip(("Set5", "Set14", "BSD100"), shown, strict=True):
            cell = cells.get((method, dataset))
            interval = "{:.2f} to {:.2f}".format(*cell["ci"]["raters"]) if cell else ""
            assert text == (f"{cell['mos']:.2f}, {interval} ({cell['paper']:.2f})" if cell else "–")


def test_every_training_flag_is_in_the_help():
    done = subprocess.run([sys.executable, "train.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for flag in set(re.findall(r"--[a-z-]+", " ".join(c for c in COMMANDS if "train.py" in c))):
        assert flag in done.stdout
