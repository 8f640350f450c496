import pytest

from sr.config import load_config, parse_assignments
from sr.errors import SRError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nleraning_rate: 1\n", "unknown key 'leraning_rate'"),
        ("name: x\nlr: fast\n", "lr must be float"),
        ("name: x\naugment: 1\n", "augment must be bool"),
        ("name: x\nbatch_size: 2.5\n", "batch_size must be int"),
        ("name: x\nbatch_size: 0\n", "batch_size must be above 0"),
        ("name: x\ncontent: vgg33\n", "content is 'vgg33', expected one of mse, l1, vgg22, vgg54"),
        ("name: x\niterations: null\n", "either iterations or minutes"),
        ("name: x\nadversarial_weight: 1.0e-3\ncrop_size: 100\n", "multiple of 16"),
        ("name: x\nlabel_smoothing: 0.1\n", "needs an adversarial_weight above 0"),
        ("name: x\nadversarial_weight: 1.0e-3\nlabel_smoothing: 0.5\n", "label_smoothing must be .* below 0.5"),
        ("name: x\nteacher: srgan\nteacher_share: 0\n", "teacher_share must be above 0 and at most 1"),
        ("name: x\nteacher: srgan\nteacher_views: 9\n", "teacher_views must be 0 to 8"),
        ("name: x\nteacher_views: 1\n", "name a teacher"),
        ("lr: 0.1\n", "'name' is missing"),
        ("[1, 2]", "key: value"),
        ("a: b: c", "not valid YAML"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(SRError, match=message):
        load_config(str(tmp_path / "c.yaml"))


def test_unknown_preset_lists_the_known():
    with pytest.raises(SRError, match="srgan-vgg54.*srresnet-mse"):
        load_config("esrgan")


def test_overrides():
    config = load_config("srresnet-mse", parse_assignments(["lr=4e-4", "augment=true"]) | {"minutes": 5})
    assert (config.lr, config.augment, config.minutes, config.iterations) == (4e-4, True, 5.0, None)
    config = load_config("srresnet-mse-cpu", {"iterations": 10})
    assert (config.minutes, config.iterations) == (None, 10)
    assert load_config("srgan-mse", parse_assignments(["init=null"])).init is None
    with pytest.raises(SRError, match="KEY=VALUE"):
        parse_assignments(["lr"])
