"""torchrun on the CPU, two processes with gloo: they do what one process with the joint batch does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import train
from sr.checkpoint import checkpoints, load_checkpoint
from tests.tiny import SETTINGS, rows

ROOT = Path(__file__).parents[1]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def arguments(photos, trained) -> list[str]:
    """A first step from trained weights: batch normalisation in eval mode, no clipping, all in float32."""
    settings = ["batch_size=4", "freeze_batch_norm=true", "clip_grad_norm=null", "precision=fp32", "warmup_steps=0"]
    start = ["--config", "srresnet-mse-cpu", "--init", str(trained / "srresnet.safetensors"), "--data", str(photos)]
    return [*start, "--device", "cpu", "--set", *SETTINGS, *settings, "log_steps=1"]


def first_gradients(out: Path) -> list[torch.Tensor]:
    """After one step of Adam its first moment is (1 - beta1) times the gradient."""
    optimizer = load_checkpoint(out)["generator_optimizer"]
    return [state["exp_avg"] / (1 - 0.9) for state in optimizer["state"].values()]


def test_two_processes_have_the_gradients_of_one_with_the_joint_batch(arguments, tmp_path):
    assert train.main([*arguments, "--out", str(tmp_path / "one"), "--iterations", "1"]) == 0
    command = [*TORCHRUN, "train.py", *arguments, "--out", str(tmp_path / "two"), "--iterations", "1"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for one, two in zip(*(first_gradients(tmp_path / name) for name in ("one", "two")), strict=True):
        assert one.abs().max() > 0
        assert (one - two).abs().max() <= 1e-5 * max(1.0, one.abs().max().item())
    assert done.stdout.count("finished at step 1") == 1  # rank 0 alone speaks and writes
    assert [row["step"] for row in rows(tmp_path / "two")] == ["1"]
    assert len(checkpoints(tmp_path / "two")) == 1
    (stage,) = json.loads((tmp_path / "two" / "srresnet.json").read_text())["training"][-1:]
    assert stage["command"].startswith("torchrun --nproc-per-node 2 train.py --config srresnet-mse-cpu")
    assert stage["hardware"].startswith("2 x ")


def test_a_dead_process_ends_the_run_and_the_checkpoint_goes_on_with_one(arguments, tmp_path):
    command = [*TORCHRUN, "train.py", *arguments, "checkpoint_minutes=1e-9", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--iterations", "1000000"], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not checkpoints(tmp_path):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {Path(f"/proc/{pid}/environ").read_bytes().partition(b"LOCAL_RANK=")[2][:1]: int(pid) for pid in children}
    os.kill(ranks[b"1"], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "local_rank: 1" in errors
    done = load_checkpoint(tmp_path)["step"]
    data = arguments[arguments.index("--data") + 1]
    again = ["--resume", "--data", data, "--out", str(tmp_path), "--device", "cpu", "--iterations", str(done + 3)]
    assert train.main(again) == 0
    assert load_checkpoint(tmp_path)["step"] == done + 3
    assert int(rows(tmp_path)[-1]["patches"]) == 4 * (done + 3)  # the same joint batch, whoever computes it
