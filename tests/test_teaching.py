import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import train
from sr.__main__ import main
from sr.centring import centre
from sr.files import sha256
from sr.images import read_rgb_array
from sr.inference import load_network
from sr.rendering import render
from sr.resize import hr_and_lr
from sr.teaching import is_drawing, lesson
from tests.networks import save_reddish, small_net
from tests.tiny import SETTINGS, rows

EXAMPLES = Path(__file__).parents[1] / "demo" / "examples" / "hr"


def network_input(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 255


@pytest.fixture
def reddish(tmp_path):
    return save_reddish(tmp_path / "reddish.safetensors", small_net(num_blocks=1), levels=20)


def retouch(weights: Path, data: Path, out: Path, *changes: str) -> Path:
    """The weights that a short training makes of `weights`, with themselves as the teacher."""
    settings = [*SETTINGS, "precision=fp32", "warmup_steps=1", "lr=3e-3", "ema_decay=0.9", "rescale_min=1"]
    named = [f"init={weights}", f"teacher={weights}"]
    command = ["--config", "srgan-retouch-cpu", "--data", str(data), "--out", str(out), "--iterations", "80"]
    assert train.main([*command, "--device", "cpu", "--set", *settings, *named, *changes]) == 0
    return out / "srgan.safetensors"


def largest_change(a: Path, b: Path, picture: np.ndarray) -> float:
    """Between the pictures that two generators make, in 1/255."""
    with torch.no_grad():
        first, second = (load_network(weights)(network_input(picture)) for weights in (a, b))
    return (first - second).abs().max().item() * 127.5


def test_photographs_keep_their_texture_and_get_the_originals_colours(reddish, photos, tmp_path):
    _, lr = hr_and_lr(read_rgb_array(photos / "0.png"))
    alone = retouch(reddish, photos, tmp_path / "alone", "colour_weight=0", "grid_weight=0")
    assert largest_change(reddish, alone, lr) < 0.5  # nothing to learn: what it gives is what it is to give

    coloured = retouch(reddish, photos, tmp_path / "coloured")
    cpu = torch.device("cpu")
    before, after = (np.abs(centre(weights, [photos], 4, cpu)[2]).max() for weights in (reddish, coloured))
    assert after < 0.5 * before
    card = json.loads(coloured.with_suffix(".json").read_text())
    assert any("teacher's pictures" in departure for departure in card["departures"])
    assert card["training"][0]["loss"] == "1 * l1 + 8 * l1 of mean colours + 1 * grid of 4 pixels"
    assert {"colour", "content"} <= {name for name, value in rows(tmp_path / "coloured")[-1].items() if value}


def disagreement(weights: Path, picture: np.ndarray) -> float:
    """Between a generator's picture and that of the mirrored LR, mirrored back: rms in 1/255."""
    network, lr = load_network(weights), network_input(picture)
    with torch.no_grad():
        return (network(lr) - network(lr.flip(-1)).flip(-1)).square().mean().sqrt().item() * 127.5


def test_a_pupil_of_flipped_and_turned_views_depends_less_on_the_view(reddish, photos, tmp_path):
    _, lr = hr_and_lr(read_rgb_array(photos / "0.png"))
    out = retouch(reddish, photos, tmp_path / "run", "colour_weight=0", "grid_weight=0", "teacher_views=3")
    assert disagreement(out, lr) < 0.7 * disagreement(reddish, lr)
    card = json.loads(out.with_suffix(".json").read_text())
    assert any("means over 3 flips and turns" in departure for departure in card["departures"])


def test_a_lesson_of_all_views_is_the_mean_of_the_pictures_turned_back():
    torch.manual_seed(0)
    teacher, lr, hr = small_net(num_blocks=1).eval(), torch.rand(2, 3, 12, 12), torch.rand(2, 3, 48, 48)
    every_view = torch.arange(8)[:, None].expand(8, 2)
    learned = lesson(teacher, lr, hr, views=every_view)
    with torch.no_grad():
        turned = [torch.rot90(teacher(torch.rot90(lr, k, (2, 3))), -k, (2, 3)) for k in range(4)]
        turned += [torch.rot90(teacher(torch.rot90(lr, k, (2, 3)).mT).mT, -k, (2, 3)) for k in range(4)]
    assert torch.allclose(learned, sum(turned) / 8, atol=1e-5)
    assert not torch.allclose(learned, turned[0], atol=1e-3)
    half = lesson(teacher, lr, hr, share=0.5, views=every_view)
    assert torch.allclose(half, (learned + hr) / 2, atol=1e-5)


def test_drawings_are_learned_from_the_original(reddish, tmp_path):
    assert main(["render", "--count", "4", "-o", str(tmp_path / "pages")]) == 0
    _, lr = hr_and_lr(render(0)[:96, :96])
    taught = retouch(reddish, tmp_path / "pages", tmp_path / "run", "colour_weight=0", "grid_weight=0")
    assert largest_change(reddish, taught, lr) > 5


def test_photographs_are_no_drawings_and_rendered_pages_are():
    photographs = [network_input(np.array(Image.open(file).convert("RGB"))) for file in sorted(EXAMPLES.iterdir())]
    assert len(photographs) > 3
    assert not any(is_drawing(image) for image in photographs)
    assert all(is_drawing(network_input(render(seed))) for seed in range(30))


def test_a_missing_teacher_is_named(photos, tmp_path, capsys):
    command = ["--config", "srgan-retouch-cpu", "--data", str(photos), "--out", str(tmp_path / "run")]
    assert train.main([*command, "--device", "cpu", "--set", *SETTINGS, "init=null", "teacher=absent.safetensors"]) == 2
    assert "absent.safetensors is missing" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_its_own_teacher_alone(reddish, photos, tmp_path, capsys):
    teacher = tmp_path / "teacher.safetensors"
    for kept in (".safetensors", ".json"):
        shutil.copy(reddish.with_suffix(kept), teacher.with_suffix(kept))
    out = retouch(reddish, photos, tmp_path / "run", f"teacher={teacher}")
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["training"][-1]["sha256"] == {"init": sha256(reddish), "teacher": sha256(teacher)}

    save_reddish(teacher, small_net(num_blocks=1), levels=5)
    resume = ["--resume", "--data", str(photos), "--out", str(tmp_path / "run"), "--iterations", "90"]
    assert train.main([*resume, "--device", "cpu"]) == 2
    assert "is not the teacher that the run began with" in capsys.readouterr().err
