"""The experimenter's page: progress, counts, warnings, invitations, pause, export."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import anyio.to_thread
import pandas as pd
from fastapi import FastAPI, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

# Read by Gradio when it is imported: it would otherwise ask its makers for its newest version.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from mos_study import experimenter_tables as tables
from mos_study.config import config_from_json
from mos_study.experimenter_login import add_login
from mos_study.export import export_ratings
from mos_study.rater_warnings import rater_warnings
from mos_study.records import COLUMNS
from mos_study.statistics import mos_table
from mos_study.store import Store

PATH = "/experimenter"
MAX_INVITED = 200  # at once
# Nothing here takes part in Gradio's public interface, and no picture of waiting covers what is being read.
QUIET = {"show_progress": "hidden", "api_visibility": "private"}

STYLE = """
main { max-width: 1200px !important; width: 100% !important; margin-inline: auto !important; }
main, main .column, main .tabs, main .tabitem, main .block { min-width: 0 !important; }
#summary dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0; }
#summary dt { font-size: 13px; opacity: .75; } #summary dd { margin: 0; font-weight: 600; }
.scroll { overflow: auto; max-height: 70vh; }
.scroll table, .scroll tr { border: 0; }
.scroll table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
.scroll caption { text-align: left; font-weight: 600; padding-bottom: 4px; }
.scroll th, .scroll td { text-align: left; padding: 6px 16px 6px 0; vertical-align: top; border: 0;
  border-bottom: 1px solid var(--border-color-primary); white-space: nowrap; }
.scroll thead th { position: sticky; top: 0; background: var(--background-fill-primary); font-weight: 400; }
.scroll progress { width: 80px; vertical-align: middle; }
.scroll td:has(.warning) { white-space: normal; min-width: 220px; }
.warning { color: #b45309; } .dark .warning { color: #fbbf24; }
details summary { cursor: pointer; padding: 12px 0; }
"""
# The link with the secret leads here without the login while a session lasts.
HEAD = '<script>if (location.hash) history.replaceState(null, "", location.pathname)</script>'


def mount_experimenter(app: FastAPI, store: Store, secret: str) -> FastAPI:
    """Adds the experimenter's page at /experimenter, behind the secret. Raises SRError when that is too short."""
    add_login(app, PATH, store, secret)

    @app.get(f"{PATH}/ratings.csv")
    async def ratings() -> Response:
        file = await anyio.to_thread.run_sync(_export, store)
        remove = BackgroundTask(shutil.rmtree, file.parent)
        return FileResponse(file, filename="ratings.csv", media_type="text/csv", background=remove)

    # Only fonts that the visitor's machine has: gr.themes.GoogleFont would be fetched.
    theme = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "Segoe UI", "Roboto", "Helvetica", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    return gr.mount_gradio_app(
        app,
        build_page(store),
        PATH,
        theme=theme,
        css=STYLE,
        head=HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
    )


def build_page(store: Store) -> gr.Blocks:
    page = Page(store)
    with gr.Blocks(title="MOS study", analytics_enabled=False, fill_width=True) as blocks:
        gr.Markdown("# MOS study")
        overview = [gr.HTML(elem_id="summary")]
        with gr.Row():
            refresh = gr.Button("Refresh", min_width=130, variant="primary", elem_id="refresh")
            pause = gr.Button("Pause", min_width=130, elem_id="pause")
            resume = gr.Button("Open again", min_width=130, elem_id="resume", visible=False)
            close = gr.Button("Close …", min_width=130, elem_id="close")
            gr.Button("Ratings as CSV", min_width=130, link=f"{PATH}/ratings.csv", elem_id="export")
            gr.Button("Log out", min_width=130, link=f"{PATH}/logout", elem_id="logout")
        overview += [pause, resume, close]
        with gr.Group(visible=False, elem_id="closing") as closing:
            gr.HTML(tables.message("Close the study? Raters will not be able to rate or to see a picture.", alert=True))
            with gr.Row():
                really_close = gr.Button("Yes, close it", variant="stop", elem_id="really-close")
                keep_open = gr.Button("No")
        with gr.Tab("Raters"):
            overview.append(gr.HTML(elem_id="raters"))
        with gr.Tab("Pictures"):
            overview.append(gr.HTML(elem_id="counts"))
        with gr.Tab("Scores"):
            gr.HTML(tables.message("Scores are hidden, so that nobody is led by them while the study runs."))
            with gr.Row():
                show = gr.Button("Show the scores so far", elem_id="show-mos")
                hide = gr.Button("Hide them")
            scores = gr.HTML(elem_id="mos")
        with gr.Tab("Invite"):
            number = gr.Number(1, label="New raters", precision=0, minimum=1, maximum=MAX_INVITED, elem_id="number")
            invite = gr.Button("Make links", elem_id="invite")
            invited = gr.HTML(elem_id="invited")
            links = gr.Textbox(label="Links, one per rater", buttons=["copy"], visible=False, elem_id="links")
        with gr.Tab("Personal answers"):
            gr.HTML(tables.message("Deletes what a rater answered about him- or herself. The ratings stay."))
            rater = gr.Dropdown(label="Rater", choices=[], elem_id="rater")
            overview.append(rater)
            ask = gr.Button("Delete this rater’s answers …", elem_id="forget")
            chosen = gr.State()
            with gr.Group(visible=False, elem_id="forgetting") as forgetting:
                question = gr.HTML()
                with gr.Row():
                    really_forget = gr.Button("Yes, delete them", variant="stop", elem_id="really-forget")
                    keep = gr.Button("No")
            forgotten = gr.HTML(elem_id="forgotten")

        gr.on([blocks.load, refresh.click], page.overview, None, overview, **QUIET)
        pause.click(lambda: page.set_state("paused"), None, overview, **QUIET)
        resume.click(lambda: page.set_state("open"), None, overview, **QUIET)
        close.click(lambda: gr.Group(visible=True), None, closing, **QUIET)
        gr.on([keep_open.click, really_close.click], lambda: gr.Group(visible=False), None, closing, **QUIET)
        really_close.click(lambda: page.set_state("closed"), None, overview, **QUIET)
        show.click(page.scores, None, scores, **QUIET)
        hide.click(lambda: "", None, scores, **QUIET)
        invite.click(page.invite, number, [invited, links], **QUIET).then(page.overview, None, overview, **QUIET)
        ask.click(page.ask, rater, [chosen, forgetting, question, forgotten], **QUIET)
        gr.on([keep.click, really_forget.click], lambda: gr.Group(visible=False), None, forgetting, **QUIET)
        really_forget.click(page.forget, chosen, forgotten, **QUIET).then(page.overview, None, overview, **QUIET)
    return blocks


class Page:
    """What happens on the page; each method gives its components their new values."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.scale = config_from_json(store.require_study().config).calibration.scores

    def overview(self) -> list[Any]:
        study, progress = self.store.require_study(), self.store.progress()
        warnings = rater_warnings(self._ratings(), self.scale) if any(row["done"] for row in progress) else {}
        with_answers = [(row["rater"], row["id"]) for row in progress if row["has_answers"]]
        return [
            tables.summary(study.name, study.state, progress),
            gr.Button(visible=study.state == "open"),
            gr.Button(visible=study.state != "open"),
            gr.Button(visible=study.state != "closed"),
            tables.raters(progress, warnings),
            tables.counts(self.store.counts()),
            gr.Dropdown(choices=with_answers, value=None),
        ]

    def set_state(self, state: str) -> list[Any]:
        self.store.set_state(state)
        return self.overview()

    def scores(self) -> str:
        self.store.log("scores looked at")
        ratings = self._ratings()
        return tables.mos(mos_table(ratings), simulated=bool(ratings["simulated"].any()))

    def invite(self, number: int, request: gr.Request) -> tuple[str, Any]:
        if not 1 <= (number or 0) <= MAX_INVITED:
            return tables.message(f"Give a number from 1 to {MAX_INVITED}.", alert=True), gr.Textbox(visible=False)
        url = request.request.url
        links = [f"{url.scheme}://{url.netloc}/s/{self.store.add_rater()}" for _ in range(int(number))]
        text = gr.Textbox("\n".join(links), lines=min(10, len(links)), visible=True)
        return tables.links(links), text

    def ask(self, rater_id: int | None) -> tuple[int | None, Any, str, str]:
        if rater_id is None:
            return None, gr.Group(visible=False), "", tables.message("Choose a rater first.", alert=True)
        name = next(row["rater"] for row in self.store.progress() if row["id"] == rater_id)
        question = tables.message(f"Delete the answers of {name}? They cannot be brought back.", alert=True)
        return rater_id, gr.Group(visible=True), question, ""

    def forget(self, rater_id: int) -> str:
        self.store.forget_answers(rater_id)
        return tables.message("The answers are deleted.")

    def _ratings(self) -> pd.DataFrame:
        return pd.DataFrame(self.store.ratings(), columns=list(COLUMNS))


def _export(store: Store) -> Path:
    """The ratings in a temporary folder of their own, which the caller removes."""
    file = Path(tempfile.mkdtemp()) / "ratings.csv"
    export_ratings(store, file)
    return file
