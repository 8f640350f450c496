"""python mos_study/analyze.py: from a study's ratings to the paper's tables, tests and figures."""

# ruff: noqa: E402 (the path has to be put right before the project can be imported)

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

START = time.perf_counter()

if not __package__:
    # Run as a file, Python looks for modules beside it first, and would take mos_study/statistics for its own.
    sys.path[:] = [
        str(Path(__file__).resolve().parents[1]),
        *(place for place in sys.path if Path(place).resolve() != Path(__file__).resolve().parent),
    ]

from mos_study.statistics.mos import INTERVALS
from mos_study.statistics.pairs import UNITS, ZEROS
from mos_study.statistics.screening import RULES
from mos_study.store import DEFAULT_URL
from sr.errors import SRError

if TYPE_CHECKING:
    from mos_study.analysis import Stopwatch
    from mos_study.report import Report

POWER = {"effect": 0.2, "between": ["srgan", "srresnet"], "target": 0.8, "studies": 400}  # unless given


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python mos_study/analyze.py",
        description="Mean opinion scores, tests, reliability and figures of a rating test, beside the paper's values.",
        formatter_class=argparse.RawTextHelpFormatter,
    )
    source = parser.add_argument_group("what is analysed").add_mutually_exclusive_group()
    source.add_argument("--db", metavar="URL", help=f"the study's database (default: {DEFAULT_URL})")
    source.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="ratings as mos_study.export writes them: rater,dataset,image,method,phase,repeat,score",
    )
    source.add_argument("--power", action="store_true", help="no ratings: how many raters and images a study needs")
    output = parser.add_argument_group("what is written; without these, tables on the terminal alone")
    output.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="tables (Markdown, CSV, LaTeX, JSON) and figures (PNG, SVG)"
    )
    output.add_argument("--json", type=Path, metavar="FILE", help="all figures, unrounded")
    output.add_argument("--timing", action="store_true", help="print the seconds that each stage took")
    choices = parser.add_argument_group("how")
    choices.add_argument(
        "--interval",
        choices=INTERVALS,
        default=INTERVALS[0],
        help="of the mean opinion scores; all four are in the JSON (default: %(default)s)\n"
        "raters: for these images, other raters of the kind (Student's t over raters' means)\n"
        "raters+images: other images of the kind as well (two-way variance components)\n"
        "bootstrap: the same by drawing raters and images anew\n"
        "iid: as if ratings were independent; far too narrow, to compare with papers that use it",
    )
    choices.add_argument(
        "--unit",
        choices=UNITS,
        default=UNITS[0],
        help="what is paired in the tests (default: %(default)s)\n"
        "rating: rater and image, as the paper's numbers imply; speaks of these raters and images alone\n"
        "image: means over raters; images are the sample\n"
        "rater: means over images; raters are the sample",
    )
    choices.add_argument(
        "--zeros",
        choices=ZEROS,
        default=ZEROS[0],
        help="equal ratings in the signed-rank test (default: %(default)s)\n"
        "pratt: ranked, then left out; wilcox: left out first; zsplit: half to either side",
    )
    choices.add_argument(
        "--exclude",
        choices=tuple(RULES),
        nargs="+",
        default=(),
        metavar="RULE",
        help="leave out the raters named by these rules; otherwise they are only listed\n"
        "bt500: far from the others in both directions (ITU-R BT.500, kurtosis)\n"
        "calibration: practice rated far from its known scores\n"
        "constant: always the same score; fast: too fast to have looked\n"
        "retest: contradicts the own first rating",
    )
    choices.add_argument(
        "--remove-bias",
        action="store_true",
        help="take each rater's bias off the mean opinion scores (ITU-T P.913, 12.4)",
    )
    choices.add_argument(
        "--objective",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="JSON of python -m sr evaluate: MOS against PSNR and SSIM",
    )
    choices.add_argument("--seed", type=int, default=0, help="of everything that is random (default: %(default)s)")
    power = parser.add_argument_group("with --power, and --unit")
    power.add_argument("--effect", type=float, metavar="D", help=f"true difference to be found ({POWER['effect']})")
    power.add_argument(
        "--between", nargs=2, metavar=("A", "B"), help=f"A is better than B ({' '.join(POWER['between'])})"
    )
    power.add_argument("--target", type=float, metavar="P", help=f"power that is wanted ({POWER['target']})")
    power.add_argument(
        "--studies", type=int, metavar="N", help=f"simulated for each size of study ({POWER['studies']})"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    args = arguments_parser().parse_args(arguments)
    try:
        _run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (SRError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    # Drawing and torch take seconds to import, which --help need not.
    from mos_study.analysis import Stopwatch
    from mos_study.report import as_text, check_folder, write_json, write_report

    watch = Stopwatch({"import": time.perf_counter() - START})
    if args.seed < 0:
        raise SRError(f"--seed is {args.seed}, but must be 0 or more")
    given = {name: getattr(args, name) for name in POWER}
    if not args.power and (unused := [f"--{name}" for name, value in given.items() if value is not None]):
        raise SRError(f"{', '.join(unused)} belongs to --power: add it, or leave {unused[0]} out")
    if args.output:
        check_folder(args.output)
    if args.json:
        check_folder(args.json.resolve().parent)
    report = (_power if args.power else _study)(args, watch)
    print(as_text(report))
    if args.output:
        files = write_report(report, args.output, watch.stage)
        print(f"\n{args.output}: {len(files)} files, {report.name}.md first")
    if args.json:
        write_json(args.json, report.document)
    if args.timing:
        watch.seconds["total"] = time.perf_counter() - START
        print("\n".join(["", "stage: seconds", *(f"{name}: {s:.1f}" for name, s in watch.seconds.items())]))


def _study(args: argparse.Namespace, watch: "Stopwatch") -> "Report":
    with watch.stage("import"):
        from mos_study.analysis import Choices, analyse
        from mos_study.objective import read_objective
        from mos_study.ratings import read_ratings
        from mos_study.report_study import study_report
        from mos_study.report_tables import TABLES

    if args.csv and args.output and args.csv.resolve() in {args.output.resolve() / f"{name}.csv" for name in TABLES}:
        raise SRError(f"{args.csv} would be overwritten by a table of that name: name another folder")
    with watch.stage("read"):
        objective = read_objective(args.objective) if args.objective else None
        ratings = read_ratings(args.csv, args.db or DEFAULT_URL)
    choices = Choices(args.interval, args.unit, args.zeros, tuple(args.exclude), args.remove_bias, args.seed)
    return study_report(analyse(ratings, choices, objective, watch))


def _power(args: argparse.Namespace, watch: "Stopwatch") -> "Report":
    with watch.stage("import"):
        from mos_study.power import power_table
        from mos_study.report_power import power_report

    effect, (a, b), target, studies = (
        default if getattr(args, name) is None else getattr(args, name) for name, default in POWER.items()
    )
    with watch.stage("simulate"):
        table, sentence = power_table(effect, a, b, target, studies, args.unit, args.seed)
    return power_report(table, sentence, target, studies, args.seed)


if __name__ == "__main__":
    sys.exit(main())
