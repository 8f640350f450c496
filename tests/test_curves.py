import argparse

import numpy as np
import pytest
from PIL import Image

from sr.commands import curves
from sr.curves import draw, read_runs
from sr.errors import SRError
from sr.plots import COLOURS
from sr.tracking import COLUMNS


def command(*arguments):
    parser = argparse.ArgumentParser()
    curves.add_arguments(parser)
    return curves.run(parser.parse_args([str(argument) for argument in arguments]))


def save_run(folder, gan=False, rows=200, every=50):
    """A run's folder with a log as the training writes it: a row a step, PSNR in rows of its own."""
    folder.mkdir(parents=True)
    lines = [",".join(COLUMNS)]

    def append(**figures):
        lines.append(",".join(str(figures.get(name, "")) for name in COLUMNS))

    for i in range(1, rows + 1):
        facts = {"step": i, "patches": 16 * i, "seconds": i / 2, "lr": 1e-4}
        figures = {"content": 5.0 if i == 100 else 0.02, "grad_norm_g": 1 / i, "colour_shift": 2, "patches_per_s": 32}  # fmt: skip  # noqa: E501
        if gan:
            figures |= {"pixel": 0.05, "adversarial": 1.0, "discriminator": 0.5, "d_real": 0.8, "d_fake": 0.2, "d_accuracy": 0.9, "grad_norm_d": 2}  # fmt: skip  # noqa: E501
        append(**facts, **figures)
        if i % every == 0:
            append(**facts, psnr_standard=30 - 10 / i)
    (folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def titles(figure):
    return [axes.get_title("left") for axes in figure.axes]


def legend(of):
    return [text.get_text() for text in of.texts]


def test_one_run(tmp_path, capsys):
    run = save_run(tmp_path / "srresnet")
    assert command(run, "-o", tmp_path / "new" / "curves.png") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'curves.png'}\n"
    with Image.open(tmp_path / "new" / "curves.png") as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["curves.png"]
    figure = draw(read_runs([run]))
    shown = ["Validation PSNR (dB)", "Content and pixel loss", "Gradient norm", "Colour shift (1/255)"]
    assert titles(figure) == [*shown, "Learning rate", "Patches per second"]
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == [800, 1600, 2400, 3200]
    assert line.get_ydata().tolist() == [30 - 10 / i for i in (50, 100, 150, 200)]
    raw, median = figure.axes[1].lines
    assert len(raw.get_xdata()) == len(median.get_xdata()) == 200
    assert max(raw.get_ydata()) == 5
    assert set(median.get_ydata()) == {0.02}


def test_a_gan_has_the_discriminators_panels(tmp_path):
    figure = draw(read_runs([save_run(tmp_path / "srgan", gan=True)]))
    assert titles(figure)[1:5] == ["Content and pixel loss", "GAN losses", "Discriminator", "Gradient norm"]
    assert legend(figure.axes[3].get_legend()) == ["accuracy", "D(HR)", "D(SR)"]


def test_several_runs_are_overlaid_in_their_colours(tmp_path):
    first, second = save_run(tmp_path / "srresnet"), save_run(tmp_path / "srgan-0.8", gan=True)
    figure = draw(read_runs([first, second / "log.csv"]))
    (runs,) = figure.legends
    assert legend(runs) == ["srresnet", "srgan-0.8"]
    colours = [line.get_color() for line in runs.get_lines()]
    assert len(set(colours)) == 2
    assert [line.get_color() for line in figure.axes[0].lines] == colours
    assert titles(figure)[2] == "GAN losses"
    assert {line.get_color() for line in figure.axes[2].lines} == {colours[1]}
    assert len({line.get_linestyle() for line in figure.axes[2].lines}) == 2


def test_runs_of_the_same_name_keep_apart(tmp_path):
    runs = [save_run(tmp_path / parent / "srgan") for parent in ("a", "b")]
    log = tmp_path / "srgan-vgg54.csv"
    log.write_bytes((runs[0] / "log.csv").read_bytes())
    assert list(read_runs([*runs, log])) == [*map(str, runs), "srgan-vgg54"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_logs_are_the_same_bytes(tmp_path, suffix):
    run, file = save_run(tmp_path / "run", gan=True), tmp_path / f"curves.{suffix}"
    command(run, "-o", file)
    before = file.read_bytes()
    command(run, "-o", file)
    assert file.read_bytes() == before


def test_a_running_or_killed_training_can_be_drawn(tmp_path):
    """A single row; a last line that is not whole is no row."""
    run = save_run(tmp_path / "run", rows=1, every=1)
    with open(run / "log.csv", "a") as file:
        file.write("2,3")
    figure = draw(read_runs([run]))
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines] == [[16]]
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_user_errors(tmp_path):
    run = save_run(tmp_path / "run")
    contents = {
        "header": ",".join(COLUMNS) + "\n",
        "other": "epoch,loss\n1,0.5\n",
        "words": "step,patches,lr\n1,16,high\n",
        "bare": "step,patches\n1,16\n",
        "empty": "",
    }
    for name, text in contents.items():
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "void").mkdir()
    out = tmp_path / "curves.png"
    cases = {
        "absent": "absent cannot be read.*give a run's folder or its log.csv",
        "void": "void/log.csv cannot be read",
        "header.csv": "header.csv has no row yet",
        "other.csv": "other.csv is not a training log: it has no column step or patches",
        "words.csv": "words.csv is not a training log.*high",
        "bare.csv": "bare logged no figure",
        "empty.csv": "empty.csv is not a training log",
        "binary.csv": "binary.csv is not a training log",
    }
    for name, message in cases.items():
        with pytest.raises(SRError, match=message) as error:
            command(tmp_path / name, "-o", out)
        assert "\n" not in str(error.value)
    with pytest.raises(SRError, match="curves.pdf must end in .png or .svg"):
        command(run, "-o", out.with_suffix(".pdf"))
    with pytest.raises(SRError, match="cannot be written"):
        command(run, "-o", run / "log.csv" / "curves.png")
    many = [save_run(tmp_path / f"run-{i}", rows=1) for i in range(len(COLOURS) + 1)]
    with pytest.raises(SRError, match="8 runs are too many.*at most 7"):
        command(*many, "-o", out)
    assert not out.exists()
