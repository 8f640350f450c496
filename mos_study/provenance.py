"""Where the figures of an analysis come from: source, filter, versions, seed."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sr
from mos_study.analysis import Analysis, counted

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "matplotlib")


def provenance(analysis: Analysis) -> dict[str, Any]:
    """Everything that decides what the tables and figures show; for `analysis.json`."""
    choices = analysis.choices
    return {
        "source": analysis.source,
        "sha256": analysis.sha256,
        "simulated": analysis.simulated,
        "ratings": analysis.ratings,
        "raters": analysis.raters_rated,
        "excluded": list(analysis.excluded),
        "excluded_by": list(choices.exclude),
        "bias_removed": choices.remove_bias,
        "interval": choices.interval,
        "unit": choices.unit,
        "zeros": choices.zeros,
        "seed": choices.seed,
        **versions(),
    }


def versions() -> dict[str, Any]:
    """Of the project, its commit where it is a clone (`-dirty`: with changes), Python, and what computes."""
    packages = {package: version(package) for package in PACKAGES}
    return {
        "version": sr.__version__,
        "commit": _commit(),
        "packages": {"python": platform.python_version(), **packages},
    }


def summary(analysis: Analysis) -> str:
    """The same in one line, for the files that people read."""
    return f"{caption(analysis)} ({packages_line()})"


def caption(analysis: Analysis) -> str:
    """`summary` without the packages, for figures."""
    choices = analysis.choices
    digest = f" (sha256 {analysis.sha256[:12]})" if analysis.sha256 else ""
    bias = "raters' biases removed from the mean opinion scores (P.913)" if choices.remove_bias else "no bias removed"
    parts = [
        f"source {analysis.source}{digest}",
        f"{counted(analysis.ratings, 'rating')} of {counted(analysis.raters_rated, 'rater')}",
        analysis.rules,
        bias,
        f"interval {choices.interval}",
        f"unit {choices.unit}",
        f"zeros {choices.zeros}",
        f"seed {choices.seed}",
        version_line(),
    ]
    return "; ".join(parts)


def version_line() -> str:
    commit = _commit()
    return f"version {sr.__version__}" + (f", commit {commit}" if commit else "")


def packages_line() -> str:
    return ", ".join(f"{package} {number}" for package, number in versions()["packages"].items())


@cache
def _commit() -> str | None:
    if not (ROOT / ".git").exists():
        return None
    try:
        describe = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None  # no git here, or a copy that git does not trust
