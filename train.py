"""Train SRResNet or SRGAN: python train.py --config srresnet-mse-budget --data IMAGES --out runs/srresnet"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import torch

from sr.benchmark import BenchmarkSet
from sr.card import build_card
from sr.checkpoint import load_checkpoint, save_weights
from sr.config import TrainConfig, config_from_dict, load_config, parse_assignments, preset_names
from sr.data import MARGIN, ImageStore
from sr.errors import SRError
from sr.inference import load_network
from sr.methods import WEIGHTS
from sr.training import Trainer, train
from sr.validation import card_metrics, validator


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="train.py", description=__doc__)
    parser.add_argument("--config", metavar="NAME", help="preset or .yaml file (see --list)")
    parser.add_argument("--list", action="store_true", help="print the presets and leave")
    parser.add_argument(
        "--data", nargs="+", type=Path, metavar="DIR", help="folders of HR images, searched recursively"
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
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="other settings, e.g. lr=2e-4 batch_size=8"
    )
    parser.add_argument("--benchmark", type=Path, metavar="DIR", help="folder with Set5, Set14, BSD100 to measure on")
    parser.add_argument(
        "--sets", nargs="+", default=["Set5", "Set14", "BSD100"], metavar="SET", help="sets in --benchmark"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="CPU threads (default: one a core)")
    parser.add_argument("--dry-run", action="store_true", help="check everything, print the configuration and leave")
    args = parser.parse_args(arguments)
    if args.list:
        for name in preset_names():
            print(name)
        return 0
    if not (args.out and args.data and (args.config or args.resume)):
        parser.error("--data and --out are needed, and --config or --resume")
    try:
        return _run(args)
    except SRError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(args: argparse.Namespace) -> int:
    if not args.resume and (args.out / "checkpoint.pt").exists():
        raise SRError(f"{args.out} holds a run already; --resume continues it, another --out starts a new one")
    config = _configuration(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    print(config.to_yaml(), end="", flush=True)
    benchmarks = [BenchmarkSet(args.benchmark, name) for name in args.sets] if args.benchmark else []
    # What a resumed run started from is in its checkpoint.
    initial, parent_card = (None, None) if args.resume else _initial(config)
    trainer = Trainer(config, _device(args.device), initial, parent_card, args.vgg)
    store = ImageStore(args.data, min_side=config.crop_size + 2 * MARGIN)
    print(f"{len(store)} images, {store.pixels / 1e6:.0f} Mpixel, {len(store.skipped)} files skipped; {trainer.device}")
    if args.dry_run:
        return 0
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    validate = validator(benchmarks[0]) if benchmarks else None
    finished = train(trainer, store, args.out, args.resume, validate)
    path = save_weights(args.out, config.name, trainer.result(), build_card(trainer, store, {}))
    if benchmarks and finished:
        metrics = card_metrics(path, args.benchmark, args.sets, args.vgg, trainer.device)
        save_weights(args.out, config.name, trainer.result(), build_card(trainer, store, metrics))
    print(f"{'finished' if finished else 'interrupted'} at step {trainer.step}; weights: {path}")
    if not finished:
        print(f"continue with: {_resume_command(args)}")
    return 0


def _resume_command(args: argparse.Namespace) -> str:
    words = ["python", "train.py", "--resume", "--data", *args.data, "--out", args.out]
    words += ["--vgg", args.vgg] if args.vgg else []
    words += ["--benchmark", args.benchmark, "--sets", *args.sets] if args.benchmark else []
    return shlex.join(map(str, words))


def _configuration(args: argparse.Namespace) -> TrainConfig:
    """The configuration to train with: on --resume the checkpoint's, of which only the run's length may change."""
    length = {"minutes": args.minutes, "iterations": args.iterations}
    if not args.resume:
        return load_config(args.config, parse_assignments(args.set) | length | {"init": args.init})
    path = args.out / "checkpoint.pt"
    if args.set or args.init:
        raise SRError("--resume continues with the checkpoint's configuration; leave out --set and --init")
    saved: dict[str, Any] = load_checkpoint(path)["config"]
    if any(length.values()):
        saved |= length
    return config_from_dict(saved, source=str(path))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SRError(f"device {name!r} is not usable here: {error}") from error
    return device


def _initial(config: TrainConfig) -> tuple[dict[str, torch.Tensor] | None, dict[str, Any] | None]:
    """The state dict and model card that `init` names, checked against the configured generator."""
    if config.init is None:
        return None, None
    path = Path(config.init)
    if path.suffix != ".safetensors":
        path = WEIGHTS / f"{config.init}.safetensors"
    network = load_network(path)
    wanted = {"num_blocks": config.num_blocks, "channels": config.channels, "scale": config.scale}
    if network.config() != wanted:
        raise SRError(f"init: {path} has {network.config()}, the configuration asks for {wanted}")
    return network.state_dict(), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
