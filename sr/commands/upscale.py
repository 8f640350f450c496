"""`python -m sr upscale`: image files in, enlarged PNG files out."""

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from sr.errors import SRError
from sr.images import FORMATS, read_image, write_png
from sr.methods import METHODS, Upscaler, load

HELP = "enlarge images x4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", metavar="IN", nargs="+", type=Path, help="image files, or folders of image files")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        required=True,
        help="a .png file for one input file; else a folder, created if needed, that gets a NAME.png for every input",
    )
    parser.add_argument("--method", choices=METHODS, default="srgan", help="default: srgan")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights (.safetensors, model card beside it) of your own training"
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help="auto (default) takes fp16 on CUDA and fp32 elsewhere; bf16 and fp16 need hardware that has them",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every input was enlarged, 1 when some could not be, 2 when none could."""
    jobs = _plan(args.inputs, args.output)
    upscaler = load(args.method, device=args.device, precision=args.precision, weights=args.weights)
    for target in {target.parent for target in jobs.values()}:
        _create(target)
    failures = 0
    with tqdm(jobs.items(), desc="images", unit="image", disable=len(jobs) == 1) as bar:
        for source, target in bar:
            try:
                _upscale(upscaler, source, target, alone=len(jobs) == 1)
            except SRError as error:
                failures += 1
                tqdm.write(f"error: {error}", file=sys.stderr)
            else:
                tqdm.write(str(target))
    if failures:
        print(f"{failures} of {len(jobs)} images could not be enlarged", file=sys.stderr)
    return 2 if failures == len(jobs) else int(failures > 0)


def _upscale(upscaler: Upscaler, source: Path, target: Path, alone: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `read_image` raises where it matters
        image = read_image(source)
    for warning in caught:
        tqdm.write(f"warning: {warning.message}", file=sys.stderr)
    with tqdm(desc=source.name, unit="tile", leave=alone) as bar:
        result = upscaler.upscale(image, progress=_progress(bar))
    write_png(result, target)


def _progress(bar: tqdm) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show


def _plan(inputs: list[Path], output: Path) -> dict[Path, Path]:
    """Input file -> output file. Raises SRError when one file would overwrite another."""
    sources = _expand(inputs)
    if output.suffix.lower() in Image.registered_extensions() and not output.is_dir():
        if len(inputs) > 1 or inputs[0].is_dir():
            raise SRError(f"{output} names one file, but there may be several inputs; give a folder as OUT")
        if output.suffix.lower() != ".png":
            raise SRError(f"{output} cannot be written: results are PNG; give a name that ends in .png, or a folder")
        jobs = {sources[0]: output}
    else:
        jobs = {source: output / f"{source.stem}.png" for source in sources}
    taken: dict[str, Path] = {}
    for source, target in jobs.items():
        # Some file systems ignore the case of names.
        other = taken.setdefault(target.name.casefold(), source)
        if other is not source:
            raise SRError(f"{other} and {source} would both become {target}; rename one or give them two folders")
    files = {_identity(source): source for source in sources if source.exists()}
    for target in jobs.values():
        if target.exists() and _identity(target) in files:
            raise SRError(f"{target} would overwrite the input {files[_identity(target)]}; choose another OUT")
    return jobs


def _expand(inputs: list[Path]) -> list[Path]:
    """Files as given, and the image files directly inside folders, each once."""
    suffixes = {suffix for suffix, format in Image.registered_extensions().items() if format in FORMATS}
    sources: dict[Path, Path] = {}
    for path in inputs:
        found = [path]
        if path.is_dir():
            found = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())
            if not found:
                raise SRError(f"folder {path} holds no image files ({', '.join(FORMATS)})")
        for file in found:
            sources.setdefault(file.resolve(), file)
    return list(sources.values())


def _identity(path: Path) -> tuple[int, int]:
    """Equal for two paths to one file, through links or another spelling."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SRError(f"folder {folder} cannot be created: {error.strerror}") from error
