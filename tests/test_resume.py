"""Interruptions: signals, kills and damaged checkpoints change nothing in what a run delivers."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import train
from sr.checkpoint import checkpoints, load_checkpoint
from tests.tiny import SETTINGS, assert_equal, rows

ROOT = Path(__file__).parents[1]
NETWORKS = pytest.mark.parametrize("kind", ["srresnet", "srgan"])


@pytest.fixture
def start(photos, vgg_files, trained):
    """Arguments that start a run of SRResNet or SRGAN, and those that continue one."""
    common = ["--data", str(photos), "--vgg", str(vgg_files["VGG16"]), "--device", "cpu"]

    def arguments(kind: str) -> tuple[list[str], list[str]]:
        preset = {"srresnet": "srresnet-mse-cpu", "srgan": "srgan-vgg54-cpu"}[kind]
        first = ["--config", preset, "--init", str(trained / "srresnet.safetensors"), *common]
        return [*first, "--set", *SETTINGS, "warmup_steps=4", "checkpoint_minutes=1e-9"], ["--resume", *common]

    return arguments


def assert_same_state(a: Path, b: Path, kind: str) -> None:
    """Networks, optimizers, EMA and random generators, bit for bit."""
    whole, resumed = load_checkpoint(a), load_checkpoint(b)
    parts = {"step", "generator", "average", "generator_optimizer", "random"}
    parts |= {"discriminator", "discriminator_optimizer"} if kind == "srgan" else set()
    assert parts < set(whole)
    for part in parts:
        if part == "random":
            whole[part], resumed[part] = (
                json.loads(json.dumps(s[part], default=lambda t: t.tolist())) for s in (whole, resumed)
            )
        assert_equal(whole[part], resumed[part])


@NETWORKS
def test_forty_steps_equal_twenty_a_kill_and_twenty_more(kind, start, tmp_path):
    first, again = start(kind)
    assert train.main([*first, "--out", str(tmp_path / "whole"), "--iterations", "40"]) == 0
    out = tmp_path / "killed"
    command = [sys.executable, "train.py", *first, "--out", str(out), "--iterations", "40"]
    # It halts after step 20, so that the kill never comes too late.
    halt = "import sys, time, train, sr.training as t; save = t.save_checkpoint\n"
    halt += "def slow(out, state, keep): save(out, state, keep); time.sleep(60 * (state['step'] == 20))\n"
    halt += "t.save_checkpoint = slow; train.main(sys.argv[1:])"
    command[1:2] = ["-c", halt]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: [path for path in checkpoints(out) if path.stem.endswith("20")])
    process.kill()
    process.wait()
    assert load_checkpoint(out)["step"] == 20
    assert train.main([*again, "--out", str(out)]) == 0
    assert_same_state(tmp_path / "whole", out, kind)
    assert [row["step"] for row in rows(out)] == [row["step"] for row in rows(tmp_path / "whole")]


@NETWORKS
def test_a_checkpoint_cut_short_is_said_and_the_one_before_used(kind, start, tmp_path, capsys):
    first, again = start(kind)
    assert train.main([*first, "--out", str(tmp_path), "--iterations", "8"]) == 0
    newest, _before, *others = checkpoints(tmp_path)
    assert len(others) == 1  # the last three are kept
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path, whole)
    for length in (0, 100, newest.stat().st_size // 2, newest.stat().st_size - 1):
        newest.write_bytes((whole / newest.name).read_bytes()[:length])
        capsys.readouterr()
        assert load_checkpoint(tmp_path)["step"] == 7, length
        assert f"{newest} is damaged" in capsys.readouterr().err
    assert train.main([*again, "--out", str(tmp_path)]) == 0
    assert_same_state(whole, tmp_path, kind)


def test_interruption_saves_and_says_how_to_go_on(start, trained, tmp_path):
    first, _ = start("srgan")
    copy, out = tmp_path / "start", tmp_path / "run"
    shutil.copytree(trained, copy)
    first[first.index("--init") + 1] = str(copy / "srresnet.safetensors")
    command = [sys.executable, "train.py", *first, "--out", str(out), "--iterations", "100000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: checkpoints(out))
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    done = load_checkpoint(out)["step"]
    shutil.rmtree(copy)  # the checkpoint is all that going on needs
    (resume,) = re.findall(r"continue with: python train.py (.*)", printed)
    assert train.main([*shlex.split(resume), "--device", "cpu", "--iterations", str(done + 2)]) == 0
    assert load_checkpoint(out)["step"] == done + 2
    stages = json.loads((out / "srgan.json").read_text())["training"]
    assert [stage["config"]["name"] for stage in stages] == ["srresnet", "srgan"]


def test_a_run_goes_on_with_another_rate(start, tmp_path):
    first, again = start("srgan")
    assert train.main([*first, "schedule=constant", "--out", str(tmp_path), "--iterations", "6"]) == 0
    settings = ["lr=5e-5", "discriminator_lr=7e-6", "clip_grad_norm=0.5"]
    assert train.main([*again, "--out", str(tmp_path), "--iterations", "8", "--set", *settings]) == 0
    assert float(rows(tmp_path)[-1]["lr"]) == pytest.approx(5e-5)
    state = load_checkpoint(tmp_path)
    assert state["config"]["clip_grad_norm"] == 0.5
    rates = [state[f"{network}_optimizer"]["param_groups"][0]["lr"] for network in ("generator", "discriminator")]
    assert rates == pytest.approx([5e-5, 7e-6])


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
