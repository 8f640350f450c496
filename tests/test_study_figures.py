"""The figures of a rating test: what they show, checked against the tables that they are drawn from."""

import dataclasses
import warnings
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb, to_rgba
from PIL import Image

from mos_study.figures import FIGURES, FigureData, draw_figures, plot_power
from mos_study.paper import PAPER_MOS, label
from sr.errors import SRError
from sr.paper import PAPER

IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 100}
NAMES = ["score_distributions", "mos", "ranks", "images", "raters", "objective", "pairs"]
OBJECTIVE = pd.DataFrame(
    [(d, method, *values) for method, of in PAPER.items() for d, values in of.items()],
    columns=["dataset", "method", "psnr", "ssim"],
)
PAIR_COLUMNS = ["dataset", "a", "b", "unit", "n", "p_holm", "effect"]


def study(images=IMAGES, methods=None, raters=26, **changes) -> FigureData:
    """Tables around the paper's means, as the statistics give them; numbers that no check needs are rough."""
    mos, counts, ranks, of_images, pairs = [], [], [], [], []
    for dataset, n in images.items():
        means = {m: PAPER_MOS[dataset][m] for m in methods or PAPER_MOS[dataset]}
        order = sorted(means, key=lambda m: -means[m])
        for method, mean in means.items():
            half = 0.2 if raters > 1 else np.nan
            mos.append((dataset, method, mean, mean - half, mean + half, n * raters, raters, n))
            near = np.exp(-((np.arange(1, 6) - mean) ** 2))
            counts += [(dataset, method, i + 1, round(100 * near[i] / near.sum())) for i in range(5)]
            rank = order.index(method) + 1.0
            ranks.append((dataset, method, rank, rank - 0.3, rank + 0.3, n * raters, 0))
            ease = np.linspace(0.4, -0.4, n)
            of_images += [(dataset, f"img_{i:03d}", method, mean + ease[i], 0.7, raters) for i in range(n)]
        for a in means:
            for b in means:
                if a < b:
                    gap = means[a] - means[b]
                    pairs.append((dataset, a, b, "rating", n * raters, 0.2 if abs(gap) < 0.1 else 1e-9, gap / 4))
    bias = np.linspace(0.6, -0.6, raters)
    data = FigureData(
        mos=pd.DataFrame(mos, columns=["dataset", "method", "mos", "low", "high", "n", "raters", "images"]),
        counts=pd.DataFrame(counts, columns=["dataset", "method", "score", "n"]),
        ranks=pd.DataFrame(ranks, columns=["dataset", "method", "rank", "low", "high", "n", "left_out"]),
        images=pd.DataFrame(of_images, columns=["dataset", "image", "method", "mos", "sd", "n"]),
        raters=pd.DataFrame(
            {"rater": [f"r{i}" for i in range(raters)], "n": 1128, "mean": 3.0, "bias": bias, "bias_se": 0.05}
        ).assign(inconsistency=0.7, inconsistency_se=0.03),
        pairs=pd.DataFrame(pairs, columns=PAIR_COLUMNS),
        objective=OBJECTIVE,
        caption="ratings.csv; nobody left out; seed 0",
        simulated=False,
        interval="raters",
    )
    return dataclasses.replace(data, **changes)


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def tick_labels(axis) -> list[str]:
    return [text.get_text() for text in axis.get_ticklabels()]


def svg_text(path) -> str:
    return " ".join(text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip())


@pytest.fixture(scope="module")
def paper_study() -> FigureData:
    return study(simulated=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory, paper_study):
    folder = tmp_path_factory.mktemp("figures")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw_figures(paper_study, folder / "new")


def test_every_figure_as_png_and_svg(files):
    assert [path.name for path in files] == [f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    assert sorted(path.name for path in files[0].parent.iterdir()) == sorted(path.name for path in files)
    for path in files[::2]:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_svg_has_text_that_says_what_and_whence(files, paper_study):
    for path in files[1::2]:
        text = svg_text(path)
        assert paper_study.caption in text
        assert "SIMULATED RATINGS" in text
        if path.stem != "raters":
            assert all(word in text for word in ("Set5", "Set14", "BSD100", "SRResNet", "SelfExSR")), path


def test_real_ratings_are_not_called_simulated():
    for name, draw in FIGURES.items():
        assert "SIMULATED RATINGS" not in texts(draw(study({"Set5": 5}))), name


def test_the_same_tables_give_the_same_bytes(tmp_path):
    data = study({"Set5": 5}, methods=["bicubic", "srgan", "hr"], simulated=True)
    first, second = draw_figures(data, tmp_path / "a"), draw_figures(data, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_score_distributions_are_shares_with_the_mean_marked():
    counts = [("Set5", "hr", score, n) for score, n in enumerate((0, 0, 1, 3, 4), 1)]
    counts += [("Set14", "bicubic", score, n) for score, n in enumerate((1, 1, 0, 0, 0), 1)]
    mos = [("Set5", "hr", 4.375, 4, 5, 8, 2, 4), ("Set14", "bicubic", 1.5, 1, 2, 2, 2, 1)]
    data = study()
    data = dataclasses.replace(
        data, counts=pd.DataFrame(counts, columns=data.counts.columns), mos=pd.DataFrame(mos, columns=data.mos.columns)
    )
    figure = FIGURES["score_distributions"](data)
    set5, set14 = figure.axes[:2]
    assert set5.get_title("left") == "Set5: 8 ratings of each method"
    assert tick_labels(set14.xaxis) == [label("bicubic"), label("hr")]
    shown = set5.collections[0].get_array()
    assert shown.mask.tolist() == [[True, False]] * 5  # bicubic: not rated on Set5
    assert shown[:, 1].tolist() == [0, 0, 1 / 8, 3 / 8, 4 / 8]
    assert set14.collections[0].get_array()[:, 0].tolist() == [0.5, 0.5, 0, 0, 0]
    assert set5.lines[0].get_ydata()[1] == 4.375
    assert np.isnan(set5.lines[0].get_ydata()[0])


def test_points_and_intervals_are_those_of_the_table(paper_study):
    (axes,) = FIGURES["mos"](paper_study).axes
    methods = tick_labels(axes.xaxis)
    assert methods == [label(method) for method in PAPER_MOS["Set5"]]
    assert [line.get_label() for line in axes.lines] == ["Set5", "Set14", "BSD100"]
    table = paper_study.mos.set_index(["dataset", "method"])
    for line, bars in zip(axes.lines, axes.collections, strict=True):
        segments = {round(ends[0, 0], 6): ends[:, 1] for ends in bars.get_segments() if len(ends)}
        shown = {m: (x, y) for m, x, y in zip(PAPER_MOS["Set5"], *line.get_data(), strict=True) if np.isfinite(y)}
        assert list(shown) == list(table.loc[line.get_label()].index)
        for method, (x, y) in shown.items():
            row = table.loc[(line.get_label(), method)]
            assert label(method) == methods[round(x)]
            assert y == row["mos"]
            assert segments[round(x, 6)] == pytest.approx([row["low"], row["high"]])
    low, high = axes.get_ylim()
    assert low < 1
    assert high > 5


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("raters", "these images, other raters"),
        ("raters+images", "other images and raters"),
        ("bootstrap", "by bootstrap"),
        ("iid", "as if all ratings were independent"),
    ],
)
def test_the_title_says_what_the_interval_covers(interval, words):
    figure = FIGURES["mos"](study({"Set5": 5}, interval=interval))
    assert any(words in " ".join(text.split()) for text in texts(figure))


def test_ranks_have_the_best_on_top_and_need_two_methods():
    (axes,) = FIGURES["ranks"](study({"Set14": 14})).axes
    bottom, top = axes.get_ylim()
    assert bottom > 12
    assert top < 1
    assert axes.lines[0].get_ydata()[-1] == 1  # HR
    assert FIGURES["ranks"](study({"Set14": 14}, methods=["srgan"])) is None


def test_heat_map_goes_from_the_hardest_image_to_the_easiest():
    rows = [("a", "hr", 5.0), ("a", "bicubic", 3.0), ("b", "hr", 4.0), ("b", "bicubic", 1.0), ("c", "hr", 4.5)]
    images = pd.DataFrame([("Set5", i, m, mos, 0.5, 3) for i, m, mos in rows], columns=study().images.columns)
    figure = FIGURES["images"](dataclasses.replace(study(), images=images))
    axes = figure.axes[0]
    assert tick_labels(axes.xaxis) == ["b", "c", "a"]
    assert tick_labels(axes.yaxis) == [label("bicubic"), label("hr")]
    shown = axes.collections[0].get_array()
    assert shown.mask.tolist() == [[False, True, False], [False, False, False]]
    assert shown.filled(0).tolist() == [[1, 0, 3], [4, 4.5, 5]]
    assert [text.get_text() for text in axes.texts] == ["1.0", "3.0", "4.0", "4.5", "5.0"]


def test_raters_from_the_strictest_to_the_mildest():
    raters = study(raters=4).raters.assign(bias=[0.3, np.nan, -0.5, 0.2], inconsistency=[0.5, np.nan, 0.6, 0.7])
    upper, lower = FIGURES["raters"](dataclasses.replace(study(), raters=raters)).axes
    assert upper.lines[-1].get_ydata().tolist() == [-0.5, 0.2, 0.3]
    assert lower.lines[-1].get_ydata().tolist() == [0.6, 0.7, 0.5]
    assert tick_labels(lower.xaxis) == ["r2", "r3", "r0"]
    assert lower.get_xlabel() == "3 raters (without 1 of whom too little is known)"
    (segment, *_) = upper.collections[0].get_segments()
    assert segment[:, 1] == pytest.approx([-0.5 - 1.959964 * 0.05, -0.5 + 1.959964 * 0.05])


def test_names_are_left_out_where_there_is_no_room():
    data = study({"BSD100": 100}, raters=886)
    assert FIGURES["raters"](data).axes[1].get_xticks().size == 0
    assert FIGURES["images"](data).axes[0].get_xticks().size == 0


def test_objective_measures_average_over_images_and_hr_is_a_line():
    objective = pd.DataFrame(
        [
            ("Set5", "bicubic", "a", 28.0, 0.80),
            ("Set5", "bicubic", "b", 30.0, 0.90),
            ("Set5", "srgan", "a", 29.0, 0.84),
            ("Set5", "hr", "a", np.inf, 1.0),
            ("Urban100", "srgan", "a", 20.0, 0.5),
        ],
        columns=["dataset", "method", "image", "psnr", "ssim"],
    )
    figure = FIGURES["objective"](study({"Set5": 5}, methods=["bicubic", "srcnn", "srgan", "hr"], objective=objective))
    psnr, ssim = figure.axes
    (points, reference) = psnr.lines
    assert points.get_xydata().tolist() == [[29.0, PAPER_MOS["Set5"]["bicubic"]], [29.0, PAPER_MOS["Set5"]["srgan"]]]
    assert ssim.lines[0].get_xdata() == pytest.approx([0.85, 0.84])
    assert set(reference.get_ydata()) == {PAPER_MOS["Set5"]["hr"]}
    assert ssim.get_title("right") == f"not measured: {label('srcnn')}"


def test_no_objective_figure_without_common_methods():
    for objective in (None, OBJECTIVE[OBJECTIVE["method"] == "espcn"]):
        assert FIGURES["objective"](study({"Set5": 5}, methods=["srgan", "hr"], objective=objective)) is None


def test_names_of_points_hide_neither_names_nor_points(paper_study):
    figure = FIGURES["objective"](paper_study)
    for axes in figure.axes:
        names = [text.get_window_extent() for text in axes.texts if text.get_text() != label("hr")]
        points = axes.transData.transform(axes.lines[0].get_xydata())
        assert len(names) == len(points) >= 8
        for i, name in enumerate(names):
            assert not any(name.overlaps(other) for other in names[i + 1 :])
            assert not any(name.contains(*point) for point in points)
            assert axes.get_window_extent().contains(*name.min)
            assert axes.get_window_extent().contains(*name.max)


def test_pair_matrix_fills_what_differs_and_frames_what_does_not():
    pairs = pd.DataFrame(
        [
            ("Set5", "bicubic", "hr", "image", 5, 0.0004, -1.0),
            ("Set5", "bicubic", "srgan", "image", 5, 0.3, -0.2),
            ("Set5", "hr", "srgan", "image", 0, np.nan, np.nan),
        ],
        columns=PAIR_COLUMNS,
    )
    figure = FIGURES["pairs"](dataclasses.replace(study(), pairs=pairs))
    axes = figure.axes[0]
    bicubic, srgan, hr = range(3)
    assert tick_labels(axes.yaxis) == tick_labels(axes.xaxis) == [label(m) for m in ("bicubic", "srgan", "hr")]
    cells: dict[tuple[int, int], list] = {}
    for patch in axes.patches:
        x, y = patch.get_center()
        cells.setdefault((round(y), round(x)), []).append(patch.get_facecolor())
    shown = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}
    assert shown[hr, bicubic] == shown[bicubic, hr] == "<.001"
    assert shown[srgan, bicubic] == ".30"
    assert shown[srgan, hr] == "–"
    purple, brown = cells[hr, bicubic], cells[bicubic, hr]
    assert len(purple) == len(brown) == 1
    assert purple[0][2] > purple[0][1]  # the better row is bluish, the worse one brown
    assert brown[0][0] > brown[0][2]
    assert cells[srgan, bicubic][1] == to_rgba("white")
    assert len(set(cells[hr, srgan][0][:3])) == 1  # grey: never rated together
    assert to_rgb("white") != cells[hr, srgan][0][:3]
    assert "unit image" in " ".join(" ".join(texts(figure)).split())


def test_one_rater_and_one_method_are_drawn_as_far_as_they_go(tmp_path):
    data = study({"Set5": 5}, methods=["srgan"], raters=1)
    raters = data.raters.assign(bias=np.nan, bias_se=np.nan, inconsistency=np.nan, inconsistency_se=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = draw_figures(dataclasses.replace(data, raters=raters), tmp_path, formats=("svg",))
    assert [path.name for path in files] == ["score_distributions.svg", "mos.svg", "images.svg", "objective.svg"]
    assert "interval" not in svg_text(tmp_path / "mos.svg")


def test_categories_do_as_well_as_strings():
    data = study({"Set5": 5, "Set14": 14}, methods=["bicubic", "srgan", "hr"])
    tables = {}
    for field in dataclasses.fields(data):
        table = getattr(data, field.name)
        if isinstance(table, pd.DataFrame):
            names = [name for name in ("rater", "dataset", "image", "method", "a", "b", "unit") if name in table]
            tables[field.name] = table.astype(dict.fromkeys(names, "category"))
    of_categories = dataclasses.replace(data, **tables)
    for name, draw in FIGURES.items():
        assert texts(draw(of_categories)) == texts(draw(data)), name


def test_nothing_is_drawn_from_empty_tables(tmp_path):
    data = study()
    empty = {
        field.name: getattr(data, field.name).iloc[:0]
        for field in dataclasses.fields(data)
        if isinstance(getattr(data, field.name), pd.DataFrame)
    }
    assert draw_figures(dataclasses.replace(data, **empty), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(SRError, match=r"taken.*cannot be written"):
        draw_figures(study({"Set5": 5}), tmp_path / "taken", formats=("png",))


def test_power_with_its_target_and_false_positives(tmp_path):
    cells = [(raters, images) for images in (5, 100) for raters in (5, 10, 26)]
    table = pd.DataFrame(
        [(r, i, "rating", min(1.0, r * i / 800), 0.0, 1.0, 0.04) for r, i in cells],
        columns=["raters", "images", "unit", "power", "low", "high", "false_positives"],
    )
    files = plot_power(table, 0.8, tmp_path, "400 simulated studies, seed 0")
    assert [path.name for path in files] == ["power.png", "power.svg"]
    text = svg_text(tmp_path / "power.svg")
    for words in ("wanted: 80%", "meant: 5%", "5 images", "100 images", "400 simulated studies", "SIMULATED RATINGS"):
        assert words in text
