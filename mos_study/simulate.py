"""python -m mos_study.simulate: the ratings of artificial raters, for planning a study and testing its analysis.

Everything but the raters is as in a study: its data sets, methods and counts, each rater's order, practice and retests.
No picture is needed or made. Whatever is written says that it is simulated.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mos_study.artificial import Raters, Spreads, draw_effects, draw_raters, draw_scores, latent_mean
from mos_study.config import DatasetConfig, StudyConfig, load_study
from mos_study.design import check_design, plan_trials
from mos_study.export import write_ratings
from mos_study.paper import PAPER_MOS
from mos_study.records import (
    CALIBRATION_DATASET,
    COLUMNS,
    PlannedTrial,
    SimulatedRating,
    Stimulus,
    StimulusRow,
    public_id,
)
from mos_study.store import Store
from sr.errors import SRError

SIZE = (480, 320)  # of the pictures that there are not
START = datetime(2000, 1, 1, tzinfo=UTC)  # of every sitting; long before the program, so that nobody takes it for real
VIEWING_MS, VIEWING_SPREAD = 3000, 0.4  # median, and standard deviation of the logarithm
# The examples of practice are the ends of the scale and have just been shown with their scores.
PRACTICE_INCONSISTENCY = 0.5  # of the rater's usual one, and without the bias


@dataclass(frozen=True)
class Simulation:
    """Artificial raters in a study. One seed gives one set of ratings, however often they are asked for.

    opinions: the latent opinion of a rater without bias on each stimulus, in the order of `rows`.
    """

    config: StudyConfig
    rows: Sequence[StimulusRow]
    opinions: np.ndarray
    spreads: Spreads
    raters: int
    seed: int

    def stimuli(self) -> list[Stimulus]:
        return [Stimulus(**vars(row), id=n) for n, row in enumerate(self.rows)]

    def sittings(self, stimuli: Sequence[Stimulus]) -> Iterator[list[SimulatedRating]]:
        """Each rater's ratings. stimuli: those of `rows`, in the same order."""
        place = {stimulus.id: n for n, stimulus in enumerate(stimuli)}
        counts: Counter[int] = Counter()
        for number in tqdm(range(1, self.raters + 1), "simulating", unit="rater", leave=False):
            trials = plan_trials(self.config, stimuli, counts, public_id(number))
            counts.update(trial.stimulus_id for trial in trials if trial.phase == "main")
            opinions = self.opinions[[place[trial.stimulus_id] for trial in trials]]
            yield self._sitting(trials, opinions, np.random.default_rng([self.seed, number]))

    def ratings(self) -> Iterator[dict[str, Any]]:
        """All ratings by rater and order, as `mos_study.store.Store.ratings` gives them."""
        stimuli = self.stimuli()
        for number, sitting in enumerate(self.sittings(stimuli), 1):
            for order, rating in enumerate(sitting):
                trial, stimulus = rating.trial, stimuli[rating.trial.stimulus_id]
                yield dict.fromkeys(COLUMNS) | {
                    "rater": public_id(number),
                    "dataset": stimulus.dataset,
                    "image": stimulus.image,
                    "method": stimulus.method,
                    "phase": trial.phase,
                    "repeat": trial.repeat,
                    "score": rating.score,
                    "order": order,
                    "session": trial.session,
                    "shown_at": rating.shown_at,
                    "rated_at": rating.rated_at,
                    "visible_ms": rating.visible_ms,
                    "hidden_ms": 0,
                    "simulated": True,
                }

    def _sitting(
        self, trials: Sequence[PlannedTrial], opinions: np.ndarray, rng: np.random.Generator
    ) -> list[SimulatedRating]:
        rater = draw_raters(rng, (1,), self.spreads)
        practice = np.array([trial.phase == "calibration" for trial in trials])
        learning = Raters(np.zeros(1), PRACTICE_INCONSISTENCY * rater.inconsistency)
        scores = np.where(
            practice, draw_scores(rng, opinions[None], learning), draw_scores(rng, opinions[None], rater)
        ).ravel()
        viewing = rng.lognormal(np.log(VIEWING_MS), VIEWING_SPREAD, len(trials)).astype(int)
        ratings, now, session = [], START, 0
        for trial, score, visible_ms in zip(trials, scores.tolist(), viewing.tolist(), strict=True):
            if trial.session != session:
                session = trial.session
                now += timedelta(minutes=self.config.sessions.break_minutes)
            shown_at, now = now, now + timedelta(milliseconds=visible_ms)
            ratings.append(SimulatedRating(trial, score, visible_ms, shown_at, now))
        return ratings


def simulation(
    config: StudyConfig,
    raters: int,
    images: int | None = None,
    seed: int = 0,
    spreads: Spreads | None = None,
    means: Mapping[str, float] | None = None,
) -> Simulation:
    """Draws the study's images; the raters follow from the seed.

    Args:
        images: of each data set; none: as many as the configuration says.
        means: true means by method, on all data sets; the others are the paper's.

    Raises:
        SRError: a design that does not work out, an unknown number of images, an unknown or impossible true mean.
    """
    if raters < 1 or (images is not None and images < 1):
        raise SRError(f"--raters {raters} and --images {images} do not make a study: 1 is the least")
    if seed < 0:
        raise SRError(f"--seed is {seed}, but must be 0 or more")
    spreads = spreads or Spreads()
    config = _counted(config, images)
    true = true_means(config, means or {})
    check_design(config, {dataset.name: dataset.images for dataset in _all_datasets(config)})
    rng = np.random.default_rng([seed, 0])
    rows, opinions = [], []
    for dataset in _all_datasets(config):
        names = [method.name for method in dataset.methods]
        if dataset.name == CALIBRATION_DATASET:
            grades = [config.calibration.scores[name] for name in names]
            latent = np.repeat(np.array(grades, float)[:, None], dataset.images, axis=1)
        else:
            effects = draw_effects(rng, (len(names), dataset.images), spreads)
            solved = [latent_mean(true[dataset.name, n], spreads, of) for n, of in zip(names, effects, strict=True)]
            latent = np.array(solved)[:, None] + effects
        opinions.append(latent.T.ravel())
        rows += [_row(dataset.name, f"img_{n:03d}", name) for n in range(1, dataset.images + 1) for name in names]
    return Simulation(config, rows, np.concatenate(opinions), spreads, raters, seed)


def true_means(config: StudyConfig, given: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """By data set and method: the given ones, else the paper's. Raises SRError that names what is missing."""
    wanted = [(dataset.name, method.name) for dataset in config.datasets for method in dataset.methods]
    if unknown := sorted(set(given) - {method for _, method in wanted}):
        raise SRError(f"--mos: no data set of {config.name!r} has the method {', '.join(unknown)}")
    known = {(d, m): given.get(m, PAPER_MOS.get(d, {}).get(m)) for d, m in wanted}
    if lacking := [key for key, value in known.items() if value is None]:
        methods = list(dict.fromkeys(method for _, method in lacking))
        raise SRError(
            f"The paper has no mean of {', '.join(methods)} on {', '.join(dict.fromkeys(d for d, _ in lacking))}:"
            f" give --mos {' '.join(f'{method}=VALUE' for method in methods)}"
        )
    return known


def store_simulation(simulated: Simulation, store: Store) -> None:
    """Fills an empty database. The study is closed, since it has no pictures to rate."""
    if store.study() is not None:
        raise SRError("The database holds a study, and simulated ratings must not mix with it: give an empty one")
    config = simulated.config
    store.prepare_study(config.canonical(), config.fingerprint(), config.name, config.seed, simulated.rows)
    store.set_state("closed")
    store.add_simulated(simulated.sittings(store.stimuli()))


def _counted(config: StudyConfig, images: int | None) -> StudyConfig:
    """The configuration with a number of images for every data set."""
    datasets = tuple(replace(dataset, images=images or _count(dataset)) for dataset in config.datasets)
    if unknown := [dataset.name for dataset in datasets if dataset.images is None]:
        raise SRError(f"{config.name!r} does not say how many images {', '.join(unknown)} has: give --images")
    examples = _count(config.calibration.as_dataset()) or max(1, config.calibration.practice)
    return replace(config, datasets=datasets, calibration=replace(config.calibration, images=examples))


def _count(dataset: DatasetConfig) -> int | None:
    return len(dataset.images) if isinstance(dataset.images, tuple) else dataset.images


def _all_datasets(config: StudyConfig) -> tuple[DatasetConfig, ...]:
    return (*config.datasets, config.calibration.as_dataset())


def _row(dataset: str, image: str, method: str) -> StimulusRow:
    return StimulusRow(
        dataset, image, method, sha256(f"simulated {dataset}/{image}/{method}".encode()).hexdigest(), *SIZE
    )


def _method_and_mean(text: str) -> tuple[str, float]:
    method, equals, value = text.partition("=")
    if not (method and equals):
        raise argparse.ArgumentTypeError(f"expected METHOD=VALUE, got {text!r}")
    try:
        return method, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number after {method}=, got {value!r}") from error


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m mos_study.simulate",
        description="Writes the ratings of artificial raters, marked as simulated, as CSV or into an empty database.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.yaml", help="a study as for prepare; needs no pictures")
    parser.add_argument("--raters", type=int, required=True, metavar="R", help="how many artificial raters")
    parser.add_argument("--images", type=int, metavar="I", help="images of each data set (default: CONFIG's numbers)")
    parser.add_argument("--seed", type=int, default=0, help="of images and raters (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the CSV file, with the export's columns")
    parser.add_argument("--db", metavar="URL", help="an empty database to fill")
    parser.add_argument(
        "--mos",
        type=_method_and_mean,
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD=VALUE",
        help="true means on all data sets (default: the paper's, by data set)",
    )
    for name, what in (
        ("bias", "sd of the raters' biases"),
        ("inconsistency", "mean of the raters' inconsistencies, the sd of one rater's noise"),
        ("image", "sd of the images' effects, shared by the methods"),
        ("stimulus", "sd of the effects of an image with a method"),
    ):
        option = f"--{name}-spread" if name in ("image", "stimulus") else f"--{name}"
        default = getattr(Spreads, name)
        parser.add_argument(option, dest=name, type=float, default=default, metavar="SD", help=f"{what} ({default})")
    args = parser.parse_args(arguments)
    try:
        if args.output is None and args.db is None:
            raise SRError("Nothing to write: give -o FILE, --db URL or both")
        spreads = Spreads(**{field.name: getattr(args, field.name) for field in fields(Spreads)})
        config = load_study(args.config)
        simulated = simulation(config, args.raters, args.images, args.seed, spreads, dict(args.mos))
        if args.db is not None:
            with closing(Store.open(args.db)) as store:
                store_simulation(simulated, store)
            print(f"{config.name}: the database has the simulated ratings of {args.raters} raters")
        if args.output is not None:
            rows = write_ratings(simulated.ratings(), args.output)
            print(f"{args.output}: {rows} simulated ratings of {args.raters} raters")
    except (SRError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
