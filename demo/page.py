"""What the page shows of an outcome: the values of its components."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from demo.work import METHODS, Outcome, Result

FOLDER = Path(__file__).parent

FIGURES = """
{{#if value}}
<table>
  <caption>{{value.caption}}</caption>
  <thead>
    <tr>
      <th scope="col">Method</th>{{#each value.columns}}<th scope="col">{{this}}</th>{{/each}}
      <th scope="col">Result</th>
    </tr>
  </thead>
  <tbody>
  {{#each value.rows}}
    <tr>
      <th scope="row">{{this.label}}</th>{{#each this.cells}}<td>{{this}}</td>{{/each}}
      <td>
        <a href="{{this.file.url}}" download="{{this.file.orig_name}}"
          aria-label="Download {{this.label}} as PNG">PNG&nbsp;↓</a>
      </td>
    </tr>
  {{/each}}
  </tbody>
</table>
<p>{{value.note}}</p>
{{/if}}
"""
FIGURES_STYLE = """
color: var(--body-text-color);
font-size: 14px;
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-size: 16px; font-weight: 600; padding-bottom: 4px; }
th, td { text-align: left; padding: 6px 8px 6px 0; border-bottom: 1px solid var(--border-color-primary); }
thead th { font-weight: 400; vertical-align: bottom; }
tbody th { font-weight: 600; }
a { color: var(--link-text-color); font-weight: 600; white-space: nowrap; text-decoration: underline; }
p { margin: 8px 0 0; }
"""
FIGURES_NOTE = {
    "upscale": "There is no true picture to measure against here; Compare has one.",
    "compare": "PSNR in dB / SSIM on luma without a 4-pixel border; higher is closer to the true pixels. paper: BT.709 "
    "and daala's SSIM, as the paper measured. standard: BT.601 and Wang's SSIM, as most later work does. SRGAN trades "
    "these figures for crispness.",
}


def crops() -> gr.HTML:
    """The zoomed crops of several results, which move together."""
    template, style, script = ((FOLDER / f"crops.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    return gr.HTML(
        None,
        html_template=template,
        css_template=style,
        js_on_load=script,
        apply_default_css=False,
        elem_id="crops",
        label="Crops",
    )


def figures() -> gr.HTML:
    """The table of seconds, quality and downloads."""
    return gr.HTML(
        None,
        html_template=FIGURES,
        css_template=FIGURES_STYLE,
        js_on_load=None,
        apply_default_css=False,
        elem_id="figures",
        label="Figures",
    )


def crops_value(outcome: Outcome, job: str, focus: tuple[float, float]) -> dict[str, Any]:
    """job: tells outcomes apart; the crops of a new one start at `focus`, in fractions of width and height."""
    shown = [result for result in outcome.results if result.method != "nearest"]
    return {
        "job": job,
        "focus": list(focus),
        "overview": _file(next(result for result in outcome.results if result.method == "srgan")),
        "panes": [{"label": result.label, "note": _seconds(result), "file": _file(result)} for result in shown],
    }


def figures_value(outcome: Outcome) -> dict[str, Any]:
    columns = ["Time"]
    if outcome.mode == "compare":
        columns += ["PSNR / SSIM, paper", "PSNR / SSIM, standard"]
    return {
        "caption": "Quality and results" if outcome.mode == "compare" else "Results",
        "columns": columns,
        "rows": [{"label": r.label, "cells": _cells(r, columns), "file": _file(r)} for r in outcome.results],
        "note": FIGURES_NOTE[outcome.mode],
    }


def summary(outcome: Outcome) -> str:
    width, height = outcome.lr_size
    small, large = f"{width} × {height}", f"{4 * width} × {4 * height}"
    name = f"<strong>{escape(outcome.name)}</strong>"
    seconds = sum(result.seconds or 0 for result in outcome.results)
    if outcome.mode == "compare":
        text = f"{name}, {large} pixels, was reduced to {small} and restored"
    else:
        text = f"{name}, {small} pixels, was enlarged to {large}"
    return message(f"{text} in {seconds:.1f} s on {escape(outcome.device)}. {escape(computed_by(outcome))}")


def computed_by(outcome: Outcome) -> str:
    """One sentence: what computed which networks' pictures, and in what precision."""
    labels: dict[str, list[str]] = {}
    for result in outcome.results:
        if result.how:
            labels.setdefault(result.how, []).append(result.label)
    return "Computed by " + "; by ".join(f"{how}: {', '.join(names)}" for how, names in labels.items()) + "."


def message(html: str, *, alert: bool = False) -> str:
    return f'<p role="{"alert" if alert else "status"}">{html}</p>'


def sides(outcome: Outcome | None = None) -> list[tuple[str, str]]:
    """Choices of the slider's two sides: (label, method); those of every outcome before there is one."""
    if outcome is None:
        return [(label, method) for method, label in METHODS.items()]
    return [(result.label, result.method) for result in outcome.results]


def _cells(result: Result, columns: list[str]) -> list[str]:
    quality = [f"{result.psnr[protocol]:.2f} / {result.ssim[protocol]:.4f}" for protocol in result.psnr]
    cells = [_seconds(result), *quality]
    return cells + [""] * (len(columns) - len(cells))


def _seconds(result: Result) -> str:
    return "" if result.seconds is None else f"{result.seconds:.2f}\u00a0s"


def _file(result: Result) -> dict[str, Any]:
    # Gradio serves files that it finds in a value in this form, and deletes them when they are old.
    return gr.FileData(path=str(result.path), orig_name=result.path.name, mime_type="image/png").model_dump()
