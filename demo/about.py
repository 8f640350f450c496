"""The page's words on what the networks are; what concerns the weights is read from their model cards."""

import json
from html import escape
from typing import Any

from demo.work import METHODS
from sr.methods import WEIGHTS

INTRODUCTION = """
**SRResNet** enlarges a picture four times in each direction and was trained to be as close as possible to the true
pixels; where it cannot know, it averages and looks smooth. **SRGAN** is the same network trained further against a
second network that tells photographs from reconstructions: it looks crisper, because it fills in detail that is
*plausible*.
([Ledig et al., 2017](https://arxiv.org/abs/1609.04802))
"""

WARNING = """
**Invented detail is not evidence.** Fifteen of every sixteen pixels are guesses. Do not read faces, letters, number
plates, medical or satellite pictures off a result.

**JPEG damage is outside the training.** The networks only ever saw clean pictures reduced by bicubic; blocks, noise and
sharpening halos of a compressed picture are enlarged like real detail.

**Fast or exact.** Without a GPU the networks are computed in 8-bit integers, which changes a picture by about one of
255 levels; the page says what was used, and a setting computes exactly.
"""


def read_card(method: str) -> dict[str, Any]:
    return json.loads((WEIGHTS / f"{method}.json").read_text(encoding="utf-8"))


def describe_training(method: str, card: dict[str, Any]) -> str:
    """Markdown: one line on the network, then one a stage of its training, from its card."""
    architecture = card["architecture"]
    size = f"{architecture['num_blocks']} residual blocks of {architecture['channels']} channels"
    lines = [f"**{METHODS[method]}** ({size})"]
    if "degradation" in card:
        lines[0] += f", trained on pictures reduced by {escape(card['degradation'])}:"
    for stage in card.get("training", []):
        data = stage.get("data", {})
        facts = [
            f"{stage['steps']:,} steps" if "steps" in stage else "",
            f"{stage['patches']:,} patches" if "patches" in stage else "",
            f"{data['images']:,} photos ({data['megapixels']:,} Mpixel)" if "images" in data else "",
            f"{stage['seconds'] / 60:,.0f} minutes" if "seconds" in stage else "",
            f"on {stage['hardware']}" if "hardware" in stage else "",
            f"loss: {stage['loss']}" if "loss" in stage else "",
        ]
        lines.append("- " + escape("; ".join(fact for fact in facts if fact)))
    departures = card.get("departures", [])
    if departures:
        lines.append("- other than in the paper: " + escape("; ".join(departures)))
    return "\n".join(lines)


def training() -> str:
    return "\n\n".join(describe_training(method, read_card(method)) for method in ("srresnet", "srgan"))
