"""Train SRResNet, SRGAN, SRCNN, ...: python train.py --config srresnet-mse-budget --data IMAGES --out runs/srresnet"""

import argparse
import os
import shlex
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from sr.benchmark import BenchmarkSet
from sr.checkpoint import load_checkpoint
from sr.config import FIXED_ON_RESUME, TrainConfig, config_from_dict, load_config, parse_assignments, presets
from sr.crops import MARGIN
from sr.data import open_images
from sr.distributed import process_group
from sr.errors import SRError
from sr.run import Resources, check_new, prepare, run


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("--config", metavar="NAME", help="preset or .yaml file (see --list)")
    parser.add_argument(
        "--run-book",
        type=Path,
        metavar="DIR",
        help="SRResNet, SRGAN from it, evaluation and pictures, all within --minutes; results in DIR/deliver",
    )
    parser.add_argument("--list", action="store_true", help="print the presets and leave")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders of HR images, searched recursively, or a pack of them",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for config, checkpoint, log and weights")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in --out, with its configuration"
    )
    parser.add_argument(
        "--minutes", type=float, help="time budget in place of the preset's iterations; the schedule fits it"
    )
    parser.add_argument("--iterations", type=int, help="number of update steps in place of the preset's")
    parser.add_argument(
        "--init", metavar="FILE|METHOD", help="generator to start from: .safetensors or a shipped method"
    )
    parser.add_argument(
        "--vgg", type=Path, metavar="FILE", help="VGG16 or VGG19 weights (default: torchvision downloads VGG19)"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="other settings, e.g. lr=2e-4 batch_size=8",
    )
    parser.add_argument("--benchmark", type=Path, metavar="DIR", help="folder with Set5, Set14, BSD100 to measure on")
    parser.add_argument(
        "--sets", nargs="+", default=["Set5", "Set14", "BSD100"], metavar="SET", help="sets in --benchmark"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: CUDA if there is one, else the CPU)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one a core)")
    parser.add_argument("--dry-run", action="store_true", help="check everything, print the configuration and leave")
    args = parser.parse_args(arguments)
    if args.list:
        for name, purpose in presets().items():
            print(f"{name:27}{purpose}")
        return 0
    if args.run_book:
        if not (args.data and args.minutes and args.benchmark):
            parser.error("--run-book needs --data, --minutes and --benchmark")
        if args.config or args.resume or args.out or args.iterations or args.dry_run:
            parser.error("--run-book takes no --config, --resume, --out, --iterations and --dry-run")
    elif not (args.out and args.data and (args.config or args.resume)):
        parser.error("--data and --out are needed, and --config or --resume")
    try:
        return _run_book(args) if args.run_book else _run(args)
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    device = _device(args.device)
    with process_group(device) as ranks, redirect_stdout(sys.stdout if ranks.is_first else StringIO()):
        resumed = load_checkpoint(args.out) if args.resume else None
        if not args.resume:
            check_new(args.out)
        config = _configuration(args, resumed)
        print(config.to_yaml(), end="", flush=True)
        for name in args.sets if args.benchmark else ():
            BenchmarkSet(args.benchmark, name)  # what is wrong with it is said before the training
        images = open_images(args.data, min_side=config.crop_size + 2 * MARGIN)
        resources = Resources(images, device, args.vgg, args.benchmark, tuple(args.sets))
        trainer = prepare(config, resources, resumed)
        facts = f"{len(images)} images, {images.pixels / 1e6:.0f} Mpixel, {len(images.skipped)} files skipped"
        print(f"{facts}; {device} in {trainer.precision}, {ranks.ranks} process(es)", flush=True)
        if args.dry_run:
            return 0
        finished, path = run(trainer, resources, args.out, resumed, ranks)
        print(f"{'finished' if finished else 'interrupted'} at step {trainer.step}; weights: {path}")
        if not finished:
            print(f"continue with: {_resume_command(args)}")
    return 0


def _run_book(args: argparse.Namespace) -> int:
    from sr.runbook.book import Order
    from sr.runbook.stages import run_book  # it draws: other trainings need not wait for the libraries for that

    if args.threads:
        torch.set_num_threads(args.threads)
    settings = parse_assignments(args.set) | ({"init": args.init} if args.init else {})
    device = _device(args.device)
    run_book(Order(args.run_book, args.data, device, args.minutes, args.benchmark, args.sets, args.vgg, settings))
    return 0


def _resume_command(args: argparse.Namespace) -> str:
    words = ["python", "train.py", "--resume", "--data", *args.data, "--out", args.out]
    words += ["--vgg", args.vgg] if args.vgg else []
    words += ["--benchmark", args.benchmark, "--sets", *args.sets] if args.benchmark else []
    return shlex.join(map(str, words))


def _configuration(args: argparse.Namespace, resumed: dict[str, Any] | None) -> TrainConfig:
    """The configuration to train with: on --resume the checkpoint's, in which what the networks are stays as it was."""
    given = {"minutes": args.minutes, "iterations": args.iterations, "init": args.init}
    changes = parse_assignments(args.set) | {key: value for key, value in given.items() if value is not None}
    if resumed is None:
        return load_config(args.config, changes)
    if {"minutes", "iterations"} & set(changes):
        changes = {"minutes": None, "iterations": None} | changes
    fixed = sorted(set(changes) & FIXED_ON_RESUME)
    if fixed:
        raise SRError(f"{', '.join(fixed)} cannot change on --resume; start a new run with another --out")
    return config_from_dict(resumed["config"] | changes, source=str(args.out))


def _device(name: str | None) -> torch.device:
    if name is None:
        # torchrun starts one process for each of the machine's GPUs.
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
        if device.index is not None:
            torch.cuda.set_device(device)
    except (RuntimeError, AssertionError) as error:
        raise SRError(f"device {name!r} is not usable here: {error}") from error
    return device


if __name__ == "__main__":
    sys.exit(main())
