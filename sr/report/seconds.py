"""Seconds per megapixel of result, measured once for a machine, version and weights, and kept."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sr.benchmark import BenchmarkSet
from sr.evaluate import write_json
from sr.images import read_rgb_array
from sr.sources import Enlarged, Source

TURNS = 2  # the faster one counts


def seconds_per_megapixel(
    sources: Sequence[Source], images: BenchmarkSet, file: Path, provenance: Mapping[str, Any]
) -> dict[str, float]:
    """Method -> seconds, for the methods among `sources` that enlarge, on the images of one set.

    Times differ from run to run, and a report is to be the same when it is made again: what `file` already holds for
    the same device, version, weights and set is taken, the rest is measured and put there.
    """
    known = _read(file)
    measured = {}
    for source in sources:
        if not isinstance(source, Enlarged):
            continue
        key = {
            "set": images.name,
            "device": provenance["device"],
            "torch": provenance["versions"]["torch"],
            "weights": provenance["weights"].get(source.name, {}).get("sha256"),
        }
        entry = known.get(source.name, {})
        if {name: entry.get(name) for name in key} != key:
            entry = key | {"seconds_per_megapixel": round(_measure(source, images), 4)}
        measured[source.name] = entry
    write_json(file, known | measured)
    return {name: entry["seconds_per_megapixel"] for name, entry in measured.items()}


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _measure(source: Enlarged, images: BenchmarkSet) -> float:
    seconds = pixels = 0.0
    for image in images:
        lr = read_rgb_array(image.lr)
        turns = []
        for _ in range(TURNS):
            started = time.perf_counter()
            result = source.upscaler.upscale(lr)
            turns.append(time.perf_counter() - started)
        seconds += min(turns)
        pixels += result.shape[0] * result.shape[1]
    return seconds / pixels * 1e6
