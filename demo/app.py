"""The page: its layout and what happens on it."""

import shutil
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from secrets import token_hex
from typing import Any

import gradio as gr

from demo import about, page
from demo.gallery import Example, load_examples
from demo.jobs import Jobs, JobStoppedError
from demo.style import STYLE, theme
from demo.work import (
    MAX_COMPARE_PIXELS,
    MAX_FILE_MIB,
    MAX_UPSCALE_PIXELS,
    MORE,
    Outcome,
    Report,
    Wishes,
    compare,
    upscale,
)
from sr.errors import SRError

HOUR = 3600
CENTRE = (0.5, 0.5)
STOPPED = page.message("Stopped. Choose an example or a photo to start again.")

# Mode: what it does, the title of its tab, of its button, and a hint.
MODES: dict[str, tuple[Callable[[Path, Path, Report, Wishes], Outcome], str, str, str]] = {
    "upscale": (
        upscale,
        "Upscale",
        "Enlarge ×4",
        f"Enlarges your photo four times as it is. At most {MAX_UPSCALE_PIXELS / 1e6:g} megapixel "
        f"(such as 1000 × 1000) and {MAX_FILE_MIB} MiB.",
    ),
    "compare": (
        compare,
        "Compare",
        "Reduce and restore",
        "Takes a sharp photo as the truth, reduces it four times, restores it and measures how close each method came. "
        f"At most {MAX_COMPARE_PIXELS / 1e6:g} megapixels and {MAX_FILE_MIB} MiB.",
    ),
}


def launch_options() -> dict[str, Any]:
    """Arguments of `Blocks.launch` that belong to this page, wherever it is served."""
    return {
        "theme": theme(),
        "css": STYLE,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_FILE_MIB * 2**20,
        "share": False,
    }


def build_app() -> gr.Blocks:
    """The page, not yet served; launch it with `launch_options`."""
    examples = load_examples()
    jobs = Jobs()
    # Files are looked at every hour and deleted when they are six hours old.
    with gr.Blocks(
        title="SRGAN ×4 super-resolution", analytics_enabled=False, delete_cache=(HOUR, 6 * HOUR), fill_width=True
    ) as app:
        gr.Markdown(
            "# SRGAN: photos at four times the size\n"
            "Bicubic, SRResNet and SRGAN side by side, on your own photo or one of the examples."
        )
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                with gr.Tabs():
                    inputs = {mode: _input_tab(mode, examples) for mode in MODES}
                settings = _settings()
            with gr.Column(scale=5, min_width=320):
                outputs = _results()
        _explanation(examples)
        _connect(app, inputs, settings, outputs, examples, jobs)
    return app


def _input_tab(mode: str, examples: list[Example]) -> tuple[gr.Image, gr.Button, gr.Button, gr.Gallery, gr.State]:
    _, title, action, hint = MODES[mode]
    with gr.Tab(title, id=mode):
        photo = gr.Image(
            label="Photo",
            type="filepath",
            image_mode=None,
            format="png",
            sources=["upload", "clipboard"],
            buttons=["fullscreen"],
            height=200,
            elem_id=f"{mode}-photo",
            alt_text="The photo to work on",
        )
        # gr.Image would open the file itself and answer a damaged one in its own words. Handlers give this component
        # values only: for an update, gr.skip() included, Gradio makes a session its own copy without this.
        photo.preprocess = lambda payload: payload.path if payload else None
        gr.Markdown(hint)
        with gr.Row():
            button = gr.Button(action, variant="primary", scale=3, elem_id=f"{mode}-run")
            stop = gr.Button("Stop", scale=1, min_width=80, elem_id=f"{mode}-stop")
        gallery = gr.Gallery(
            [(str(example.lr if mode == "upscale" else example.hr), example.title) for example in examples],
            label="Examples",
            format="png",
            columns=3,
            height="auto",
            object_fit="cover",
            allow_preview=False,
            interactive=False,
            buttons=[],
            elem_id=f"{mode}-examples",
            elem_classes="examples",
        )
        focus = gr.State(CENTRE)
    return photo, button, stop, gallery, focus


def _settings() -> tuple[gr.CheckboxGroup, gr.Checkbox]:
    with gr.Accordion("More methods, and how they are computed", open=False):
        more = gr.CheckboxGroup(
            [(label, method) for method, label in MORE.items()],
            show_label=False,
            label="More methods",
            info="The paper's other methods and training losses, for the next picture. Each takes time of its own.",
            elem_id="more",
        )
        exact = gr.Checkbox(
            False,
            label="Exact: torch in fp32",
            info="The pixels that tables are measured on. Without it the networks take this machine's fastest way, "
            "which differs by about one of 255 levels.",
            elem_id="exact",
        )
    return more, exact


def _results() -> list:
    """The components that an outcome fills, in the order of `_show`."""
    status = gr.HTML(page.message("Choose an example, or drop a photo."), elem_id="status", label="Status")
    paths = gr.State({})
    with gr.Column(visible=False, elem_id="results") as shown:
        with gr.Row():
            choices = page.sides()
            left = gr.Dropdown(choices, value="bicubic", label="Left side", min_width=140, elem_id="left")
            right = gr.Dropdown(choices, value="srgan", label="Right side", min_width=140, elem_id="right")
        slider = gr.ImageSlider(
            label="Drag the line",
            show_label=False,
            type="filepath",
            format="png",
            image_mode=None,
            interactive=False,
            max_height=560,
            elem_id="slider",
        )
        # The slider's own handle cannot be reached by keyboard.
        line = gr.Slider(0, 100, value=50, step=1, label="Place of the line (%)", buttons=[], elem_id="line")
        gr.Markdown("### The same spot, pixel by pixel")
        crops = page.crops()
        figures = page.figures()
    return [status, shown, paths, slider, line, left, right, crops, figures]


def _explanation(examples: list[Example]) -> None:
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Markdown("## What this is\n" + about.INTRODUCTION)
        with gr.Column(min_width=320):
            gr.Markdown("## How far to trust it\n" + about.WARNING)
    with gr.Accordion("What these weights were trained on", open=False):
        gr.Markdown(about.training())
    with gr.Accordion("Sources of the example photos", open=False):
        lines = [f"- {e.title} ({e.shows}): [{e.author}]({e.source}), {e.licence}" for e in examples]
        gr.Markdown("\n".join(lines) + "\n\nTaken from scikit-image's sample images and cropped.")


def _connect(
    app: gr.Blocks,
    inputs: dict[str, tuple],
    settings: tuple[gr.CheckboxGroup, gr.Checkbox],
    outputs: list,
    examples: list[Example],
    jobs: Jobs,
) -> None:
    status, _, paths, slider, line, left, right, *_ = outputs
    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    runs = []
    for mode, (photo, button, _, gallery, focus) in inputs.items():
        # One concurrency id for all: one picture is computed at a time, whoever asked; the others see their place.
        run = {
            "fn": _runner(mode, jobs, slider.GRADIO_CACHE),
            "inputs": [photo, focus, left, right, *settings],
            "outputs": outputs,
            "concurrency_limit": 1,
            "concurrency_id": "compute",
            "show_progress_on": status,
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }
        chosen = gallery.select(_chooser(mode, examples), None, [photo, focus], **quick)
        uploaded = photo.upload(lambda: CENTRE, None, focus, **quick)
        mine = [button.click(**run), uploaded.then(**run), chosen.then(**run)]
        if mode == "upscale":
            first = app.load(lambda: (str(examples[0].lr), examples[0].focus), None, [photo, focus], **quick)
            mine.append(first.then(**run))
        runs += mine
    for _, _, stop, *_ in inputs.values():
        stop.click(None, cancels=runs).then(lambda: STOPPED, None, status, **quick)
    gr.on([left.input, right.input], _show_sides, [paths, left, right], slider, **quick)
    line.input(
        lambda percent: gr.ImageSlider(slider_position=percent), line, slider, trigger_mode="always_last", **quick
    )

    def stop_computing(request: gr.Request) -> None:
        jobs.stop(request.session_hash)

    app.unload(stop_computing)


def _chooser(mode: str, examples: list[Example]) -> Callable:
    def choose(event: gr.SelectData) -> tuple[str, tuple[float, float]]:
        example = examples[event.index]
        return str(example.lr if mode == "upscale" else example.hr), example.focus

    return choose


def _runner(mode: str, jobs: Jobs, cache: str) -> Callable:
    work = MODES[mode][0]

    async def run(
        photo: str | None,
        focus: tuple[float, float],
        left: str,
        right: str,
        more: list[str],
        exact: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio is asked for one
    ) -> list:
        if photo is None:
            return _refuse("Choose an example or a photo first.")
        Path(cache).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=cache))

        def compute(check: Callable[[], None]) -> Outcome:
            def report(share: float, doing: str) -> None:
                check()
                progress(share, desc=doing)

            try:
                return work(Path(photo), folder, report, Wishes(tuple(more), exact))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise

        try:
            outcome = await jobs.run(request.session_hash, compute)
        except SRError as error:
            return _refuse(str(error))
        except FileNotFoundError:
            return _refuse("The photo is no longer on the server; choose it again.")
        except JobStoppedError:
            return _refuse("Stopped.")
        return _show(outcome, focus, left, right)

    return run


def _show(outcome: Outcome, focus: tuple[float, float], left: str, right: str) -> list:
    paths = {result.method: str(result.path) for result in outcome.results}
    left, right = (side if side in paths else "srgan" for side in (left, right))
    choices = page.sides(outcome)
    return [
        page.summary(outcome),
        gr.Column(visible=True),
        paths,
        gr.ImageSlider((paths[left], paths[right]), slider_position=50),
        50,
        gr.Dropdown(choices, value=left),
        gr.Dropdown(choices, value=right),
        page.crops_value(outcome, token_hex(4), focus),
        page.figures_value(outcome),
    ]


def _refuse(text: str) -> list:
    return [page.message(escape(text), alert=True), *[gr.skip()] * 8]


def _show_sides(paths: dict[str, str], left: str, right: str) -> tuple[str, str]:
    chosen = paths[left], paths[right]
    if not all(Path(path).exists() for path in chosen):
        raise gr.Error("These results are no longer on the server; compute them again.", print_exception=False)
    return chosen
