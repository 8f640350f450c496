import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import sr
from mos_study.prepare import main
from mos_study.records import CALIBRATION_DATASET, PlannedTrial
from mos_study.store import Store
from sr.resize import imresize
from tests.test_study_config import CONFIGS


def picture(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    shape = (height // 4 + 1, width // 4 + 1, 3)
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


class Workplace:
    """A configuration in a folder with the pictures that it names."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = {
            "name": "Small",
            "seed": 1,
            "languages": ["en"],
            "datasets": [
                {"name": "A", "hr": "hr", "methods": ["nearest", {"name": "drcn", "folder": "$MADE/drcn"}, "hr"]},
                {"name": "B", "hr": "hr", "lr": "lr", "images": ["b"], "crop": [20, 100], "methods": ["bicubic", "hr"]},
            ],
            "calibration": {"hr": "examples", "images": 2, "scores": {"nearest": 1, "hr": 5}, "practice": 2},
            "sessions": {"trials": 100},
        }
        self.save("hr/a.png", picture(1, 33, 26))  # not of multiples of 4
        self.save("hr/b.png", picture(2, 24, 24, "L"))
        self.save("lr/b.png", picture(3, 6, 6))
        self.save("made/drcn/a.bmp", picture(4, 32, 24))
        self.save("made/drcn/b.png", picture(5, 24, 24))
        for name in "xyz":
            self.save(f"examples/{name}.jpg", picture(6, 32, 32))

    def save(self, name: str, image: Image.Image) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(self.folder / name)

    def prepare(self, *arguments: str) -> int:
        file = self.folder / "study.yaml"
        file.write_text(yaml.safe_dump(self.config))
        return main([str(file), "--db", self.url, *arguments])

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/out/study.db"

    def stimuli(self) -> dict[tuple[str, str, str], np.ndarray]:
        """Pixels by data set, image and method."""
        store = Store.open(self.url)
        stimuli = store.stimuli()
        for stimulus in stimuli:
            content = store.picture(stimulus.sha256).read_bytes()
            assert hashlib.sha256(content).hexdigest() == stimulus.sha256
            with Image.open(BytesIO(content)) as image:
                assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
                assert image.size == (stimulus.width, stimulus.height)
        pixels = {
            (stimulus.dataset, stimulus.image, stimulus.method): np.array(Image.open(store.picture(stimulus.sha256)))
            for stimulus in stimuli
        }
        store.close()
        return pixels

    def rate_once(self) -> None:
        store = Store.open(self.url)
        rater = store.rater(store.add_rater())
        store.record_consent(rater.id, "en")
        store.assign_trials(rater.id, [PlannedTrial(store.stimuli()[0].id, "main", 0, 0)])
        store.rate(rater.id, store.current_trial(rater.id).token, 3, 100, 0, {})
        store.close()

    def written(self) -> set[str]:
        return {str(path.relative_to(self.folder / "out")) for path in (self.folder / "out").rglob("*.png")}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.setenv("MADE", str(tmp_path / "made"))
    return Workplace(tmp_path)


def rgb(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def reduced(image: np.ndarray) -> np.ndarray:
    return imresize(torch.from_numpy(image).permute(2, 0, 1)[None], 0.25)[0].permute(1, 2, 0).numpy()


def test_stimuli_are_what_the_configuration_says(workplace, capsys):
    assert workplace.prepare() == 0
    assert "Small: 12 stimuli of 5 images are ready" in capsys.readouterr().out
    stimuli = workplace.stimuli()
    a = rgb(workplace.folder / "hr/a.png")[:24, :32]
    assert np.array_equal(stimuli["A", "a", "hr"], a)
    assert np.array_equal(stimuli["A", "a", "nearest"], reduced(a).repeat(4, 0).repeat(4, 1))
    assert np.array_equal(stimuli["A", "a", "drcn"], rgb(workplace.folder / "made/drcn/a.bmp"))
    # The LR folder is used where there is one, and all methods are cut alike.
    enlarged = sr.load("bicubic", precision="fp32").upscale(rgb(workplace.folder / "lr/b.png"))
    assert np.array_equal(stimuli["B", "b", "bicubic"], enlarged[:, 2:22])
    assert np.array_equal(stimuli["B", "b", "hr"], rgb(workplace.folder / "hr/b.png")[:, 2:22])
    assert sum(dataset == CALIBRATION_DATASET for dataset, _, _ in stimuli) == 4


def test_preparing_again_changes_nothing(workplace):
    assert workplace.prepare() == 0
    files = {path: path.stat().st_mtime_ns for path in (workplace.folder / "out").rglob("*.png")}
    store = Store.open(workplace.url)
    before = (store.study(), store.stimuli())
    workplace.rate_once()
    assert workplace.prepare() == 0
    assert {path: path.stat().st_mtime_ns for path in (workplace.folder / "out").rglob("*.png")} == files
    assert (store.study(), store.stimuli()) == before
    assert len(list(store.ratings())) == 1
    store.close()


def test_a_study_with_ratings_can_no_longer_change(workplace, capsys):
    assert workplace.prepare() == 0
    workplace.config["undo"] = True
    assert workplace.prepare() == 0  # nobody has rated yet
    workplace.rate_once()
    written = workplace.written()
    workplace.config["datasets"][0]["methods"].append("bicubic")
    assert workplace.prepare() == 2
    assert "has ratings already, so its config may no longer change" in capsys.readouterr().err
    assert workplace.written() == written
    workplace.config["datasets"][0]["methods"].pop()
    workplace.save("hr/a.png", picture(7, 33, 26))
    assert workplace.prepare() == 2
    assert "its pictures may no longer change" in capsys.readouterr().err
    assert len(workplace.stimuli()) == 12


def test_all_that_is_wrong_is_named_before_anything_is_written(workplace, capsys, monkeypatch):
    workplace.config["datasets"][1]["images"] = ["b", "c", "d"]
    workplace.config["calibration"]["images"] = 5
    workplace.config["datasets"][0]["methods"].append({"name": "selfexsr", "folder": "$ELSEWHERE/selfexsr"})
    workplace.save("hr/b.jpg", picture(2, 24, 24))
    (workplace.folder / "made/drcn/b.png").unlink()
    workplace.save("made/drcn/a.bmp", picture(4, 33, 26))
    workplace.save("lr/b.png", picture(3, 5, 6))
    (workplace.folder / "examples/y.jpg").write_bytes(b"")
    monkeypatch.delenv("ELSEWHERE", raising=False)
    assert workplace.prepare() == 2
    message = capsys.readouterr().err
    for part in (
        "hr (originals of B) lacks c, d",
        "lr (reduced originals of B) lacks c, d",
        "examples holds 3 pictures, 5 are asked for",
        "$ELSEWHERE/selfexsr (selfexsr of A) is no folder: $ELSEWHERE is not set",
        "have the same name b",
        "drcn (drcn of A) lacks b",
        "a.bmp is 33x26, expected 32x24",
        "b.png is 24x24, expected 20x24: 4 times the 5x6",
        "y.jpg is empty",
    ):
        assert part in message, part
    assert not (workplace.folder / "out").exists()


def test_a_design_that_cannot_be_is_refused_before_anything_is_written(workplace, capsys):
    workplace.config["retest"] = {"fraction": 0.5}
    assert workplace.prepare() == 2
    assert "retest: 4 second showings, each 50 or more trials after the first, do not fit" in capsys.readouterr().err
    assert not (workplace.folder / "out").exists()


def test_images_are_drawn_by_the_seed(workplace):
    for n in range(20):
        workplace.save(f"many/{n:02}.png", picture(n, 16, 16))
    workplace.config["datasets"] = [{"name": "Many", "hr": "many", "images": 5, "methods": ["hr", "nearest"]}]
    drawn = []
    for seed in (1, 1, 2):
        workplace.config["seed"] = seed
        assert workplace.prepare() == 0
        drawn.append({image for dataset, image, _ in workplace.stimuli() if dataset == "Many"})
    assert len(drawn[0]) == 5
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("there", [True, False])
def test_check_of_the_papers_protocol_needs_no_pictures(there, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SR_STUDY", raising=False)
    monkeypatch.delenv("SR_DATA", raising=False)
    if there:
        for path in ("benchmark/Set5/HR", "benchmark/Set5/LRx4"):
            (tmp_path / path).mkdir(parents=True)
        monkeypatch.setenv("SR_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main([str(CONFIGS / "srgan-paper.yaml"), "--check"]) == 0
    out = capsys.readouterr().out
    for line in ("| Set5 | 5 | 12 | 60 |", "| Set14 | 14 | 12 | 168 |", "| BSD100 | 100 | 9 | 900 |"):
        assert line in out
    for text in ("per rater: 1128, and 0 retests", "by 26 raters: 29328", "on BSD100: 2600.", "Calibration: 20 images"):
        assert text in out
    assert "- $SR_STUDY/selfexsr/Set14 (selfexsr of Set14) is no folder: $SR_STUDY is not set" in out
    assert ("Set5/HR holds 0 pictures, 5 are asked for" in out) == there
    assert not (tmp_path / "study").exists()


def test_check_says_what_it_cannot_know(workplace, capsys):
    workplace.config["datasets"][0]["hr"] = "absent"
    workplace.config["datasets"][1] = {"name": "B", "hr": "empty", "methods": ["hr"]}
    (workplace.folder / "empty").mkdir()
    assert workplace.prepare("--check") == 0
    out = capsys.readouterr().out
    assert "| A | ? | 3 | ? |" in out
    assert "absent (originals of A) is no folder" in out
    assert "| B | ? | 1 | ? |" in out
    assert "empty (originals of B) holds no pictures" in out


def test_the_demo_study_needs_nothing_else(tmp_path, capsys):
    assert main([str(CONFIGS / "demo.yaml"), "--db", f"sqlite:///{tmp_path}/study.db"]) == 0
    assert "Demo: 24 stimuli of 6 images are ready" in capsys.readouterr().out
    store = Store.open(f"sqlite:///{tmp_path}/study.db")
    assert {stimulus.method for stimulus in store.stimuli()} == {"nearest", "bicubic", "srresnet", "srgan", "hr"}
    assert max(stimulus.width for stimulus in store.stimuli()) <= 448
    store.close()
