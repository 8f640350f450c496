"""What a configuration amounts to, in numbers."""

from collections.abc import Mapping, Sequence

from mos_study.config import StudyConfig
from mos_study.design import check_design, session_starts, trials_per_rater
from mos_study.records import CALIBRATION_DATASET

PAPER_RATERS = 26


def overview(config: StudyConfig, images: Mapping[str, int | None], problems: Sequence[str]) -> str:
    """The study's counts as text, and what stands in its way.

    images: the number of images by data set, as `find_pictures` gives them. Raises SRError as `check_design` does.
    """
    lines = [f"{config.name} (seed {config.seed})", ""]
    lines += ["| data set | images | methods | stimuli |", "|---|---:|---:|---:|"]
    for dataset in config.datasets:
        count, methods = images[dataset.name], len(dataset.methods)
        lines.append(f"| {dataset.name} | {_known(count)} | {methods} | {_known(count and count * methods)} |")
    lines += ["", *(_trials(config, images) if None not in images.values() else ["Ratings per rater: not known yet."])]
    if problems:
        lines += ["", f"Missing ({len(problems)}):", *(f"- {problem}" for problem in problems)]
    return "\n".join(lines)


def _trials(config: StudyConfig, images: Mapping[str, int]) -> list[str]:
    check_design(config, images)
    trials = trials_per_rater(config, images)
    stimuli = sum(images[dataset.name] * len(dataset.methods) for dataset in config.datasets)
    ratings = trials["main"] * PAPER_RATERS
    sessions = session_starts(trials["main"] + trials["retest"], config.sessions.trials)
    return [
        f"Calibration: {images[CALIBRATION_DATASET]} images, {len(config.calibration.scores)} examples of each,"
        f" {trials['calibration']} practice trials.",
        f"Ratings per rater: {trials['main']}, and {trials['retest']} retests; sessions: {len(sessions)}.",
        f"Ratings by {PAPER_RATERS} raters: {ratings}, {ratings / stimuli:g} of each stimulus.",
        *(
            f"Ratings of each method on {dataset.name}: {images[dataset.name] * ratings / stimuli:g}."
            for dataset in config.datasets
        ),
    ]


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)
