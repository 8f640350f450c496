import json

import pytest
import torch
from safetensors.torch import load_file

from sr.__main__ import main
from sr.checkpoint import save_weights
from sr.models import SRResNet


@pytest.fixture
def two(tmp_path):
    for i, name in enumerate(("start", "end")):
        torch.manual_seed(i)
        net = SRResNet(num_blocks=1, channels=4)
        card = {"architecture": {"name": "SRResNet", **net.config()}, "departures": ["L1"], "metrics": {"paper": {}}}
        save_weights(tmp_path, name, net.state_dict(), card)
    return tmp_path


@pytest.mark.parametrize("share", [0, 0.25, 1])
def test_the_result_lies_between_the_two(two, share):
    files = [str(two / f"{name}.safetensors") for name in ("start", "end", "new")]
    assert main(["blend", *files[:2], "--share", str(share), "-o", files[2]]) == 0
    start, end, new = (load_file(file) for file in files)
    for key, value in new.items():
        expected = (1 - share) * start[key].float() + share * end[key].float()
        assert value.float().allclose(expected, atol=1e-3), key
    card = json.loads((two / "new.json").read_text())
    assert card["blend"]["share"] == share
    assert len(card["departures"]) == 2
    assert card["metrics"] == {}


def test_user_errors(two, capsys):
    save_weights(two, "wide", SRResNet(1, 8).state_dict(), {"architecture": {"name": "SRResNet", "num_blocks": 1, "channels": 8, "scale": 4}})  # fmt: skip  # noqa: E501
    cases = [
        ("end", "2", "new.safetensors", "between 0 and 1"),
        ("wide", "0.5", "new.safetensors", "cannot be blended"),
    ]
    cases += [("absent", "0.5", "new.safetensors", "is missing"), ("end", "0.5", "new.png", "must end in")]
    for end, share, out, message in cases:
        arguments = [str(two / "start.safetensors"), str(two / f"{end}.safetensors"), "--share", share]
        assert main(["blend", *arguments, "-o", str(two / out)]) == 2
        assert message in capsys.readouterr().err
    assert not (two / "new.safetensors").exists()
