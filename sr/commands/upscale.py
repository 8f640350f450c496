"""`python -m sr upscale`: image files in, enlarged image files out."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from sr.batch import Outcome, run_jobs
from sr.errors import SRError
from sr.images import read_image
from sr.methods import METHODS, RUNTIMES, load
from sr.paths import STREAM, Job, names_file, output_format, plan, without_existing
from sr.saving import OUTPUTS, check_fits, write_image

HELP = "enlarge images x4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        metavar="IN",
        nargs="+",
        help="image files, folders (searched recursively), patterns such as 'photos/**/*.jpg', or - for standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="a file for one input; else a folder, created if needed, that gets a result for every input and keeps "
        "their subfolders; - writes one result to standard output. EXIF data (GPS position included), XMP, ICC "
        "profile and resolution are carried over",
    )
    parser.add_argument(
        "--suffix", metavar="TEXT", default="", help="behind the names in the folder OUT: _x4 gives NAME_x4.png"
    )
    parser.add_argument(
        "--format",
        choices=OUTPUTS,
        help="default: by the suffix of the file OUT, else png. All but jpeg (quality 95) are lossless; jpeg lays "
        "transparent pictures over white",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace results that exist; else they are an error")
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave results that exist: goes on where a run was stopped"
    )
    parser.add_argument("--method", choices=METHODS, default="srgan", help="default: srgan")
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights (.safetensors, model card beside it) of your own training"
    )
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16", "int8"],
        default="auto",
        help="auto (default) takes fp16 on CUDA, int8 where OpenVINO computes and it is as good, and fp32 elsewhere; "
        "bf16 and fp16 need hardware that has them",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="auto (default) takes OpenVINO for SRResNet and SRGAN on a CPU, and torch elsewhere",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=2,
        metavar="N",
        help="threads that read, and threads that write, beside the computing (default: 2); more want more memory",
    )
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="ray shares the images among a Ray cluster (RAY_ADDRESS, else one on this machine), and takes folders in "
        'object stores (s3://, gs://) as IN and OUT; it needs pip install "ray[data]"',
    )
    parser.add_argument(
        "--actors",
        type=_positive,
        metavar="N",
        help="processes for --engine ray (default: one a GPU of the cluster, or one a CPU where it has no GPU)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every input has its result, 1 when some could not be enlarged, 2 when none could."""
    settings = {name: getattr(args, name) for name in ("device", "precision", "runtime", "weights")}
    settings["name"] = args.method
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.filterwarnings("ignore", module="PIL")  # about odd tags, without the file's name
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `read_image` raises where it matters
        warnings.showwarning = _show_warning
        if args.engine == "ray":
            return _run_on_ray(args, settings)
        return _run_here(args, settings)


def _run_here(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    format = output_format(args.output, args.format)
    planned = plan(args.inputs, args.output, format, args.suffix)
    jobs = without_existing(planned, _exists, args.overwrite, args.skip_existing)
    if not jobs:
        return _report([], 0, len(planned))
    piped = _standard_input() if STREAM in args.inputs else None
    if args.output == STREAM and sys.stdout.isatty():
        raise SRError("standard output is a terminal; send it to a file or another program")
    upscaler = load(**settings)
    if not (args.output == STREAM or names_file(args.output)):
        _create(Path(args.output))

    def read(job: Job) -> Image.Image:
        return piped if job.source == STREAM else read_image(job.source)

    def enlarge(job: Job, image: Image.Image) -> Image.Image:
        check_fits((image.width * upscaler.scale, image.height * upscaler.scale), format, job.source)
        with tqdm(desc=Path(job.source).name, unit="tile", leave=len(jobs) == 1) as bar:
            return upscaler.upscale(image, progress=_progress(bar))

    def write(job: Job, image: Image.Image) -> None:
        if job.target == STREAM:
            _to_standard_output(image, format, job.source)
        else:
            write_image(image, Path(job.target), format, job.source)

    outcomes = run_jobs(jobs, read, enlarge, write, scale=upscaler.scale, workers=args.jobs)
    return _report(outcomes, len(jobs), len(planned) - len(jobs))


def _run_on_ray(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    from sr.ray_engine import connect, exists_in, plan_on_ray, run_on_ray

    format = args.format or "png"
    planned = plan_on_ray(args.inputs, args.output, format, args.suffix)
    jobs = without_existing(planned, exists_in(args.output), args.overwrite, args.skip_existing)
    if not jobs:
        return _report([], 0, len(planned))
    connect()
    outcomes = run_on_ray(jobs, settings, format, workers=args.jobs, actors=args.actors)
    return _report(outcomes, len(jobs), len(planned) - len(jobs))


def _report(outcomes: Iterable[Outcome], total: int, skipped: int) -> int:
    """Says what became of each image, and returns the exit code."""
    failures = 0
    with tqdm(outcomes, total=total, desc="images", unit="image", disable=total < 2) as bar:
        for job, error in bar:
            if error:
                failures += 1
                tqdm.write(f"error: {error}", file=sys.stderr)
            elif job.target != STREAM:
                tqdm.write(job.target)
    if skipped:
        print(f"{skipped} of {total + skipped} results were there already", file=sys.stderr)
    if failures:
        print(f"{failures} of {total} images could not be enlarged", file=sys.stderr)
    return 2 if failures and failures == total + skipped else int(failures > 0)


def _standard_input() -> Image.Image:
    if sys.stdin.isatty():
        raise SRError("standard input is a terminal; send an image file into it")
    # In this thread, which Ctrl-C can stop while it waits for data.
    return read_image(sys.stdin.buffer)


def _to_standard_output(image: Image.Image, format: str, name: str) -> None:
    # Pillow's TIFF encoder needs a file that can seek.
    data = BytesIO()
    write_image(image, data, format, name)
    try:
        sys.stdout.buffer.write(data.getbuffer())
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
        raise SRError("standard output was closed before the image was complete") from error


def _progress(bar: tqdm) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return show


def _show_warning(message: Warning | str, *place: Any, **more: Any) -> None:
    tqdm.write(f"warning: {message}", file=sys.stderr)


def _exists(target: str) -> bool:
    return target != STREAM and os.path.exists(target)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SRError(f"folder {folder} cannot be created: {error.strerror}") from error
