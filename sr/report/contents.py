"""What a report is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sr.benchmark import BenchmarkSet
from sr.evaluate import Results
from sr.methods import METHODS
from sr.paper import ORDER, PAPER, TITLES


@dataclass(frozen=True)
class Contents:
    """results: by protocol ("paper", "standard"). titles: method -> its name for people.
    measures: key -> (title, description) of what was measured besides PSNR and SSIM; unmeasured: title -> why not.
    unavailable: method -> why there is no row of figures. seconds: method -> per megapixel of result.
    provenance: what someone needs to get the same figures again.
    """

    sets: Sequence[BenchmarkSet]
    results: Mapping[str, Results]
    titles: Mapping[str, str]
    measures: Mapping[str, tuple[str, str]]
    seconds: Mapping[str, float]
    provenance: Mapping[str, Any]
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    def methods(self, set_name: str) -> list[str]:
        """Methods with a row of their own for a set: the measured ones, and those of which the paper has figures.

        In the order of the paper's tables, then in the order given.
        """
        cited = [name for name in ORDER if set_name in PAPER[name]]
        rows = [name for name in ORDER if name in self.titles or name in self.unavailable or name in cited]
        return rows + [name for name in self.titles if name not in ORDER]

    def title(self, method: str) -> str:
        """The method's name for people, measured or not."""
        return self.titles.get(method) or (METHODS[method].title if method in METHODS else TITLES.get(method, method))

    def reason(self, method: str) -> str:
        """Why a method has no figures."""
        return self.unavailable.get(method, "not asked for")
