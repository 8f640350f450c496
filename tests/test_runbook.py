"""A whole run-book in seconds, with tiny networks."""

import json
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sr.config import parse_assignments
from sr.errors import SRError
from sr.runbook.book import Order
from sr.runbook.stages import run_book
from sr.runbook.throughput import Throughput
from tests.tiny import SETTINGS, rows

ROOT = Path(__file__).parents[1]
WEIGHTS = {f"{name}.{suffix}" for name in ("srresnet", "srgan") for suffix in ("safetensors", "json")}
OTHERS = {"curves.png", "samples.png", "summary.md", "records.zip"}


@pytest.fixture
def order(photos, benchmark, vgg_files, tmp_path) -> Order:
    settings = parse_assignments([*SETTINGS, "precision=fp32", "lr=2e-3", "warmup_steps=1", "ema_decay=0.5"])
    out, device = tmp_path / "book", torch.device("cpu")
    return Order(out, [photos], device, 0.12, benchmark, ["Tiny"], vgg_files["VGG16"], settings)


def delivered(order: Order) -> set[str]:
    return {path.name for path in (order.out / "deliver").iterdir()}


def summary(order: Order) -> dict:
    return json.loads((order.out / "summary.json").read_text())


def card(order: Order, name: str) -> dict:
    return json.loads((order.out / "deliver" / f"{name}.json").read_text())


def test_a_run_book_delivers_what_its_summary_says(order, tmp_path, capsys):
    shutil.copytree(order.benchmark, tmp_path / "sets")
    shutil.copytree(order.benchmark / "Tiny", tmp_path / "sets" / "Other")
    order = replace(order, benchmark=tmp_path / "sets", sets=["Tiny", "Other"])
    assert run_book(order)
    printed = capsys.readouterr().out
    assert re.search(r"bicubic on Tiny: \d+\.\d\d dB", printed)
    assert delivered(order) == WEIGHTS | OTHERS
    said, cards = summary(order), {name: card(order, name) for name in ("srresnet", "srgan")}
    assert said["metrics"] == {name: card["metrics"] for name, card in cards.items()}
    assert set(said["metrics"]["srgan"]["paper"]) == {"Tiny", "Other"}
    assert set(said["references"]) == {"bicubic", "srresnet", "srgan"}
    trained = cards["srgan"]["training"]
    assert [stage["outcome"] for stage in said["stages"]] == ["finished"] * 3
    assert [(stage["steps"], stage["patches"]) for stage in said["stages"]] == [
        (stage["steps"], stage["patches"]) for stage in trained
    ]
    assert cards["srresnet"]["training"] == trained[:2]
    assert cards["srgan"]["blend"]["share"] == 0.8
    page = (order.out / "deliver" / "summary.md").read_text()
    for name in cards:
        assert f"{said['metrics'][name]['standard']['Tiny']['psnr']:.2f} / " in page
    for stage in said["stages"]:
        last = rows(order.out / stage["name"])[-1]
        assert float(last["lr"]) == pytest.approx(0, abs=1e-8)  # every schedule ends at its minutes' end
    with zipfile.ZipFile(order.out / "deliver" / "records.zip") as records:
        names = set(records.namelist())
        records.extractall(order.out / "unpacked")
    assert {f"{stage}/log.csv" for stage in ("srresnet", "finetuned", "srgan")} <= names
    # What was delivered lies between SRGAN as it was trained and what that started from.
    parts = [order.out / path for path in ("finetuned/srresnet", "unpacked/srgan/srgan", "deliver/srgan")]
    start, end, blended = (load_file(path.with_suffix(".safetensors")) for path in parts)
    for key, value in blended.items():
        assert value.float().allclose(0.2 * start[key].float() + 0.8 * end[key].float(), rtol=2e-3, atol=2e-4), key
    assert any(not value.equal(end[key]) for key, value in blended.items())
    with Image.open(order.out / "deliver" / "samples.png") as samples:
        assert samples.width > 4 * 96  # bicubic, SRResNet, SRGAN, original
    # Done is done.
    written = (order.out / "deliver" / "summary.md").stat().st_mtime_ns
    assert run_book(order)
    assert (order.out / "deliver" / "summary.md").stat().st_mtime_ns == written


def test_an_interrupted_one_goes_on(order):
    order = replace(order, minutes=0.15)
    code = "import sys, pickle; from sr.runbook.stages import run_book; run_book(pickle.loads(sys.stdin.buffer.read()))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(pickle.dumps(order))
    process.stdin.close()
    log, deadline = order.out / "srresnet" / "log.csv", time.monotonic() + 120
    while not (log.is_file() and len(rows(log.parent)) > 1):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    printed = process.stdout.read().decode()
    assert process.wait(60) == 0
    assert "interrupted; type the same command again" in printed
    done = int(rows(log.parent)[-1]["step"])
    with pytest.raises(SRError, match="begun with minutes 0.15, now it is 5"):
        run_book(replace(order, minutes=5))
    assert run_book(order)
    steps = [int(row["step"]) for row in rows(log.parent) if row["generator"]]
    assert steps == sorted(set(steps))
    assert done in steps
    assert steps[-1] > done
    assert delivered(order) == WEIGHTS | OTHERS


def test_without_a_gan_the_rest_is_delivered(order):
    order = replace(order, settings=order.settings | {"discriminator_lr": 1e30, "clip_grad_norm": 1e30})
    assert run_book(order)
    assert delivered(order) == {"srresnet.safetensors", "srresnet.json"} | OTHERS
    said = summary(order)
    assert set(said["metrics"]) == {"srresnet"}
    outcome = said["stages"][2]["outcome"]
    assert re.fullmatch(r"diverged at step \d+: .* is not finite", outcome)
    assert outcome in (order.out / "deliver" / "summary.md").read_text()


def test_an_interruption_before_the_training_leaves_nothing(order, monkeypatch):
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("sr.runbook.stages.check", interrupted)
    assert not run_book(order)
    assert not order.out.exists()


def test_user_errors_come_before_the_training(order, tmp_path, monkeypatch):
    (tmp_path / "other" / "srgan").mkdir(parents=True)
    (tmp_path / "other" / "srgan" / "checkpoint-000000001.pt").touch()
    cases = {
        "VGG weights .* not found": {"vgg": tmp_path / "absent.safetensors"},
        "no such folder": {"data": [tmp_path / "absent"]},
        "benchmark set Absent": {"sets": ["Tiny", "Absent"]},
        "unknown key 'foo'": {"settings": {"foo": 1}},
        "decides iterations itself": {"settings": {"iterations": 5}},
        "other.srgan holds a run that is no run-book's": {"out": tmp_path / "other"},
        "--minutes are 0.001": {"minutes": 0.001},
    }
    for message, changes in cases.items():
        with pytest.raises(SRError, match=message):
            run_book(replace(order, **changes))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SRError, match="without torchrun"):
        run_book(order)
    assert not order.out.exists()


def test_compiling_is_chosen_where_it_pays():
    speed = Throughput(plain=100, gflop_per_patch=8, compiled=200, compile_seconds=30)
    assert [speed.choice(seconds) for seconds in (10, 59, 61)] == ["never", "never", "always"]
    assert speed.tflops == pytest.approx(1.6)
    failed = Throughput(plain=100, gflop_per_patch=8, complaint="RuntimeError: no compiler")
    assert failed.choice(3600) == "never"
    assert "torch.compile does not work here" in str(failed)
