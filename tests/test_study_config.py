import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mos_study.config import CalibrationConfig, config_from_json, load_study
from sr.errors import SRError

CONFIGS = Path(__file__).parents[1] / "mos_study" / "configs"

SMALL = {
    "name": "A study",
    "seed": 3,
    "languages": ["en", "de"],
    "datasets": [
        {"name": "Set5", "hr": "$SR_DATA/hr", "methods": ["bicubic", {"name": "drcn", "folder": "drcn"}, "hr"]}
    ],
    "calibration": {"hr": "examples", "images": 2, "scores": {"nearest": 1, "hr": 5}},
    "sessions": {"trials": 50},
}


def read(tmp_path, **changes):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(SMALL | changes), encoding="utf-8")
    return load_study(file)


@pytest.mark.parametrize("name", ["srgan-paper", "pilot", "demo"])
def test_configurations_that_come_with_the_project(name):
    config = load_study(CONFIGS / f"{name}.yaml")
    assert config_from_json(config.canonical()) == config
    assert config.calibration.scores == {"nearest": 1, "hr": 5}


def test_versions_of_the_papers_protocol():
    versions = {dataset.name: len(dataset.methods) for dataset in load_study(CONFIGS / "srgan-paper.yaml").datasets}
    assert versions == {"Set5": 12, "Set14": 12, "BSD100": 9}


def test_what_is_left_out_has_its_default(tmp_path):
    config = read(tmp_path)
    assert (config.retest, config.sampling, config.open, config.undo) == (None, None, None, False)
    assert [(method.name, method.folder) for method in config.datasets[0].methods] == [
        ("bicubic", None),
        ("drcn", "drcn"),
        ("hr", None),
    ]
    assert config.datasets[0].hr == "$SR_DATA/hr"  # expanded when used, so that a study may move
    assert read(tmp_path, sampling="all") == config


def test_fingerprints_tell_configurations_apart(tmp_path):
    config = read(tmp_path)
    assert read(tmp_path).fingerprint() == config.fingerprint()
    assert json.loads(config.canonical())["sessions"] == {"trials": 50, "break_minutes": 0.0}
    changed = [replace(config, seed=4), replace(config, undo=True), read(tmp_path, sampling=2)]
    assert len({study.fingerprint() for study in [config, *changed]}) == 4


def dataset(**changes):
    return [SMALL["datasets"][0] | changes]


def question(**changes):
    texts = {"text": {"en": "Glasses?", "de": "Brille?"}, "options": {"en": ["no", "yes"], "de": ["nein", "ja"]}}
    return [{"id": "glasses", "kind": "choice", **texts, **changes}]


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"colour": "red"}, ["unknown key colour"]),
        ({"datasets": dataset(lrs="x", methods=["foo"])}, ["unknown key datasets[0].lrs", "unknown method 'foo'"]),
        ({"sessions": {"trials": 50, "brake": 1}}, ["unknown key sessions.brake"]),
        ({"sessions": {}}, ["sessions.trials is missing"]),
        ({"seed": "3"}, ["seed", "integer", "'3'"]),
        ({"undo": "yes"}, ["undo", "boolean"]),
        ({"datasets": []}, ["datasets is an empty list"]),
        ({"datasets": dataset() * 2}, ["datasets: Set5 is given twice"]),
        ({"datasets": dataset(name="<calibration>")}, ["<calibration> is the calibration's name"]),
        ({"datasets": dataset(name="a/b")}, ["datasets[0].name", "'a/b'"]),
        ({"datasets": dataset(methods=["hr", "hr"])}, ["methods: hr is given twice"]),
        ({"datasets": dataset(methods=[{"name": "hr", "folder": "x"}])}, ["'hr' is the data set's own"]),
        ({"datasets": dataset(images=0)}, ["datasets[0].images", "above 0", "got 0"]),
        ({"datasets": dataset(images=["a", 5])}, ["in quotes"]),
        ({"datasets": dataset(images=["a", "a"])}, ["images: a is given twice"]),
        ({"datasets": dataset(crop=[100])}, ["datasets[0].crop"]),
        ({"calibration": {"hr": "x", "scores": {"nearest": 6}}}, ["calibration.scores.nearest", "5", "got 6"]),
        ({"calibration": {"hr": "x", "scores": {"selfexsr": 1}}}, ["unknown method 'selfexsr'"]),
        ({"retest": {"method": "srgan"}}, ["no data set has the method 'srgan'"]),
        ({"retest": {"method": "hr", "fraction": 0.1}}, ["either fraction or method"]),
        ({"retest": {"fraction": 0}}, ["retest.fraction", "greater than 0"]),
        ({"sampling": "some"}, ["sampling", '"all"', "'some'"]),
        ({"languages": ["en", "xx"]}, ["no texts in xx"]),
        ({"consent": {"en": "Please agree."}}, ["consent", "see de"]),
        ({"questions": question() * 2}, ["questions: glasses is given twice"]),
        ({"questions": question(kind="number")}, ["only a choice has options"]),
        ({"questions": question(options={"en": ["no", "yes"], "de": ["ja"]})}, ["as many in every language"]),
        ({"questions": question(text={"en": "Glasses?"})}, ["question glasses", "see de"]),
    ],
)
def test_every_mistake_is_named(tmp_path, changes, messages):
    with pytest.raises(SRError) as caught:
        read(tmp_path, **changes)
    assert "study.yaml" in str(caught.value)
    for message in messages:
        assert message in str(caught.value)


def test_a_key_given_twice_is_an_error(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(SMALL) + "seed: 4\n")
    with pytest.raises(SRError, match="twice the same name: seed"):
        load_study(file)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), ("a: [", "not valid YAML"), ("- a", "`key: value` lines")]
)
def test_no_configuration_at_all(tmp_path, content, message):
    file = tmp_path / "study.yaml"
    if content:
        file.write_text(content)
    with pytest.raises(SRError, match=message):
        load_study(file)


def test_calibration_as_a_data_set():
    calibration = CalibrationConfig(hr="x", images=("a", "b"), scores={"nearest": 1, "hr": 5}).as_dataset()
    assert (calibration.name, calibration.images) == ("<calibration>", ("a", "b"))
    assert {method.name for method in calibration.methods} == {"nearest", "hr"}
