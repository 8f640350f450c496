import json

import pytest
import torch

import train
from sr.__main__ import main
from sr.centring import centre
from sr.checkpoint import save_weights
from sr.files import sha256
from sr.models import SRCNN
from tests.networks import save_reddish, small_net
from tests.tiny import SRRESNET


@pytest.fixture
def reddish(tmp_path):
    return save_reddish(tmp_path / "reddish.safetensors", small_net(), levels=5)


def test_mean_colours_are_the_originals_afterwards(reddish, photos, capsys):
    result = reddish.with_name("centred.safetensors")
    assert main(["centre", str(reddish), "--data", str(photos), "-o", str(result)]) == 0
    assert "mean colour before, SR - HR in 1/255 over 4 images: R " in capsys.readouterr().out
    cpu = torch.device("cpu")
    _, card, before = centre(reddish, [photos], 300, cpu)
    after = centre(result, [photos], 300, cpu)[2]
    assert abs(before[0] - before[1]) > 3
    assert abs(after).max() < 0.1 * abs(before).max()
    written = json.loads(result.with_suffix(".json").read_text())
    assert written["centred"]["shift_before"] == card["centred"]["shift_before"] == pytest.approx(before, abs=1e-3)
    assert written["departures"][0] == "L1"
    assert "last bias" in written["departures"][1]
    assert written["metrics"] == {}


def test_a_training_from_centred_weights_says_so_in_its_card(reddish, photos, tmp_path):
    centred = reddish.with_name("centred.safetensors")
    assert main(["centre", str(reddish), "--data", str(photos), "-o", str(centred)]) == 0
    before = json.loads(centred.with_suffix(".json").read_text())
    command = [*SRRESNET, "num_blocks=2", f"init={centred}", "--data", str(photos), "--iterations", "2"]
    assert train.main([*command, "--out", str(tmp_path / "run")]) == 0
    card = json.loads((tmp_path / "run" / "srresnet.json").read_text())
    assert card["training"][-1]["started_from"] == {"centred": before["centred"]}
    assert card["training"][-1]["sha256"] == {"init": sha256(centred)}
    assert card["departures"][: len(before["departures"])] == before["departures"]


def test_user_errors(reddish, photos, tmp_path, capsys):
    luma = {"architecture": {"name": "SRCNN", **SRCNN().config()}}
    save_weights(tmp_path, "srcnn", SRCNN().state_dict(), luma)
    (tmp_path / "empty").mkdir()
    cases = [
        (["absent.safetensors", "--data", str(photos)], "is missing"),
        (["srcnn.safetensors", "--data", str(photos)], "leaves colours to bicubic"),
        ([reddish.name, "--data", str(tmp_path / "empty")], "no image in"),
        ([reddish.name, "--data", str(tmp_path / "nowhere")], "no such folder"),
        ([reddish.name, "--data", str(photos), "--images", "0"], "--images must be at least 1, got 0"),
    ]
    for (weights, *rest), message in cases:
        assert main(["centre", str(tmp_path / weights), *rest, "-o", str(tmp_path / "new.safetensors")]) == 2
        assert message in capsys.readouterr().err
    assert main(["centre", str(reddish), "--data", str(photos), "-o", str(tmp_path / "new.png")]) == 2
    assert "must end in" in capsys.readouterr().err
    assert not (tmp_path / "new.safetensors").exists()
