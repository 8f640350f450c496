"""All statistics of one study, put together from its ratings."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mos_study.paper import PAPER_MOS, Finding, findings, ordered_datasets, ordered_methods
from mos_study.ratings import Ratings
from mos_study.statistics.mos import INTERVALS, image_table, mos_table, rank_table, score_counts
from mos_study.statistics.omnibus import friedman_table, nemenyi_table
from mos_study.statistics.pairs import UNITS, ZEROS, pair_table
from mos_study.statistics.reliability import reliability
from mos_study.statistics.screening import Flag, screen, without
from mos_study.statistics.subjects import rater_table, remove_bias
from sr.errors import SRError

CELL = ["dataset", "method"]


@dataclass(frozen=True)
class Choices:
    """What of an analysis can be chosen; `analyze.py --help` says what each means."""

    interval: str = INTERVALS[0]
    unit: str = UNITS[0]
    zeros: str = ZEROS[0]
    exclude: tuple[str, ...] = ()  # rules of `mos_study.statistics.screening.RULES`
    remove_bias: bool = False
    seed: int = 0


@dataclass
class Stopwatch:
    """Seconds by stage, in the order of the stages."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Analysis:
    """The tables of the study's ratings without those of the excluded raters, in the paper's order.

    mos: of `mos_table`, with the chosen interval, and for each of INTERVALS the columns `NAME_low`, `NAME_high`; paper
    (its value, NaN where it has none) and difference (from it). ratings: how many there are, of all phases.
    flags: of all raters and all rules, whether excluded or not. notes: what could not be computed, and why.
    """

    source: str
    sha256: str | None
    simulated: bool
    choices: Choices
    ratings: int
    raters_rated: int
    excluded: tuple[str, ...]
    flags: tuple[Flag, ...]
    mos: pd.DataFrame
    counts: pd.DataFrame
    images: pd.DataFrame
    ranks: pd.DataFrame
    pairs: pd.DataFrame
    friedman: pd.DataFrame
    nemenyi: pd.DataFrame
    raters: pd.DataFrame
    objective: pd.DataFrame | None
    findings: tuple[Finding, ...]
    reliability: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def rules(self) -> str:
        """How raters were left out, in words."""
        if not self.choices.exclude:
            return "no rater left out"
        names = f": {listed(self.excluded)}" if self.excluded else ""
        return f"{counted(len(self.excluded), 'rater')} left out by {', '.join(self.choices.exclude)}{names}"


def analyse(
    ratings: Ratings,
    choices: Choices,
    objective: pd.DataFrame | None = None,
    watch: Stopwatch | None = None,
) -> Analysis:
    """Computes everything.

    A rater's bias changes neither ranks nor paired differences, as these compare ratings of one rater. So bias removal
    (ITU-T P.913, clause 12.4) is for the mean opinion scores; all else, the raters' own table too, is of the scores as
    given.

    Args:
        objective: of `mos_study.objective.read_objective`.

    Raises:
        SRError: no rating of the main part is left.
    """
    watch = watch or Stopwatch()
    with watch.stage("screening"):
        flags = tuple(screen(ratings.table))
        chosen = [flag for flag in flags if flag.rule in choices.exclude]
        table = without(ratings.table, chosen)
        if not (table["phase"] == "main").any():
            raise SRError(
                f"--exclude {' '.join(choices.exclude)} leaves no rater in {ratings.source}: name fewer rules"
            )
    with watch.stage("mean opinion scores"):
        unbiased = remove_bias(table) if choices.remove_bias else table
        mos = _in_order(_mos(unbiased, choices))
        counts, images = _in_order(score_counts(table)), _in_order(image_table(unbiased))
    with watch.stage("ranks"):
        ranks = _in_order(rank_table(table, choices.seed))
    with watch.stage("pairs"):
        pairs = _in_order(pair_table(table, choices.unit, choices.zeros, choices.seed), ("a", "b"))
    with watch.stage("friedman"):
        friedman = _in_order(friedman_table(table, choices.unit), ())
        nemenyi = _in_order(nemenyi_table(table, choices.unit), ("a", "b"))
    with watch.stage("raters"):
        raters = rater_table(table)
    with watch.stage("reliability"):
        agreement = reliability(table, choices.seed)
    return Analysis(
        source=ratings.source,
        sha256=ratings.sha256,
        simulated=bool(table["simulated"].any()),
        choices=choices,
        ratings=len(table),
        raters_rated=table["rater"].nunique(),
        excluded=tuple(dict.fromkeys(flag.rater for flag in chosen)),
        flags=flags,
        mos=mos,
        counts=counts,
        images=images,
        ranks=ranks,
        pairs=pairs,
        friedman=friedman,
        nemenyi=nemenyi,
        raters=raters,
        objective=None if objective is None else _measured(objective, mos, images),
        findings=tuple(findings(mos, pairs)),
        reliability=agreement,
        notes=tuple(_notes(table, mos, ranks, pairs, friedman, raters, agreement)),
    )


def _mos(table: pd.DataFrame, choices: Choices) -> pd.DataFrame:
    tables = {interval: mos_table(table, interval, choices.seed) for interval in INTERVALS}
    ends = {f"{name}_{end}": of[end] for name, of in tables.items() for end in ("low", "high")}
    mos = tables[choices.interval].assign(**ends)
    paper = [PAPER_MOS.get(row.dataset, {}).get(row.method, math.nan) for row in mos.itertuples()]
    return mos.assign(paper=pd.Series(paper, dtype=float), difference=lambda of: of["mos"] - of["paper"])


def _in_order(table: pd.DataFrame, columns: Sequence[str] = ("method",)) -> pd.DataFrame:
    """The paper's data sets and methods first, in its order. columns: those that hold methods."""
    datasets = ordered_datasets(table["dataset"].astype(str).unique())
    keys = {"dataset": {name: place for place, name in enumerate(datasets)}}
    for column in columns:
        methods = ordered_methods(table[column].astype(str).unique())
        keys[column] = {name: place for place, name in enumerate(methods)}
    return table.sort_values(
        ["dataset", *columns],
        key=lambda names: names.astype(str).map(keys[names.name]),
        kind="stable",
        ignore_index=True,
    )


def _measured(objective: pd.DataFrame, mos: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """PSNR and SSIM of every rated cell: over its rated images where all of them are measured, else the set's mean."""
    rows = []
    for dataset, method in mos[CELL].itertuples(index=False):
        rated = images.loc[(images["dataset"] == dataset) & (images["method"] == method), "image"]
        measured = objective[(objective["dataset"] == dataset) & (objective["method"] == method)].set_index("image")
        if measured.empty:
            continue
        same = set(rated) <= set(measured.index)
        means = measured.loc[list(rated) if same else [""], ["psnr", "ssim"]].mean()
        rows.append((dataset, method, means["psnr"], means["ssim"], "rated images" if same else "whole set"))
    return pd.DataFrame(rows, columns=[*CELL, "psnr", "ssim", "over"])


def _notes(
    table: pd.DataFrame,
    mos: pd.DataFrame,
    ranks: pd.DataFrame,
    pairs: pd.DataFrame,
    friedman: pd.DataFrame,
    raters: pd.DataFrame,
    agreement: dict[str, Any],
) -> Iterator[str]:
    """What a reader would miss in the tables, or take for something else."""
    artificial = table.loc[table["simulated"], "rater"].nunique()
    people = table["rater"].nunique()
    if 0 < artificial < people:
        yield f"{artificial} of {people} raters are artificial, the others are people: no table tells them apart"
    for dataset, cells in mos.groupby("dataset", observed=True, sort=False):
        if len(cells) == 1:
            yield f"{dataset}: {cells['method'].iloc[0]} is the only method, so nothing can be ranked or compared"
        alone = cells.loc[cells["raters"] == 1, "method"]
        if len(alone):
            yield f"{dataset}: {listed(alone)} rated by one rater alone, so there is no interval over raters"
    for dataset, never in pairs[pairs["n"] == 0].groupby("dataset", observed=True, sort=False):
        names = [f"{row.a} and {row.b}" for row in never.itertuples()]
        yield f"{dataset}: no rater has rated both of {listed(names)}, so they are not compared"
    partly = ranks.drop_duplicates("dataset")
    for row in partly[partly["left_out"] > 0].itertuples():
        yield (
            f"{row.dataset}: ranks need one rater's ratings of every method of an image: {row.n} such blocks,"
            f" {row.left_out} left out"
        )
    for row in friedman[friedman["left_out"] > 0].itertuples():
        yield (
            f"{row.dataset}: Friedman's and Nemenyi's tests need blocks (unit {row.unit}) with every method: {row.n}"
            f" such blocks, {row.left_out} left out"
        )
    if len(raters) > 1 and raters["bias"].isna().all():
        yield "The raters' biases and inconsistencies cannot be told from so few ratings"
    if agreement["missing"]:
        whole = f"{agreement['stimuli']} stimuli x {agreement['raters']} raters"
        yield f"Ratings missing: {agreement['missing']} of {whole}; none is made up"


def counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a sentence, not too many of them."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
