"""Measured figures into the model cards of the shipped weights."""

import json
from collections.abc import Mapping, Sequence

from sr.evaluate import Results, means, write_json
from sr.methods import WEIGHTS


def update_cards(results: Mapping[str, Results], methods: Sequence[str]) -> None:
    """Replaces "metrics" in the cards of those of `methods` whose weights are shipped; filters have none."""
    figures = means(dict(results))
    for name in methods:
        file = WEIGHTS / f"{name}.json"
        if file.is_file():
            card = json.loads(file.read_text(encoding="utf-8"))
            write_json(file, card | {"metrics": figures[name]})
