"""The analysis as a command: its tables, files and marks, what it says of small studies, and what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mos_study import report_study, simulate
from mos_study.analysis import Choices, analyse
from mos_study.analyze import arguments_parser, main
from mos_study.figures import FIGURES
from mos_study.ratings import read_ratings
from mos_study.report_formats import SIMULATED, Column, Table, as_csv, as_latex, as_markdown, number, p_value
from mos_study.report_tables import TABLES
from mos_study.statistics.mos import mos_table
from mos_study.statistics.screening import RULES

ROOT = Path(__file__).parents[1]
HEADER = "rater,dataset,image,method,phase,repeat,score"
SETTINGS = ("--interval", "raters+images", "--seed", "7", "--exclude", "constant", "--remove-bias")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """The pilot's ratings, with retests, of 6 artificial raters and one who always gives 3."""
    file = tmp_path_factory.mktemp("ratings") / "pilot.csv"
    assert simulate.main([str(ROOT / "mos_study/configs/pilot.yaml"), "--raters", "6", "-o", str(file)]) == 0
    table = pd.read_csv(file, keep_default_na=False)
    same = table[table["rater"] == "r001"].assign(rater="same", score=3)
    pd.concat([table, same]).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory, simulated) -> Path:
    """What the command writes with SETTINGS."""
    out = tmp_path_factory.mktemp("out") / "new" / "analysis"
    objective = str(ROOT / "results" / "paper.json")
    assert main(["--csv", str(simulated), "-o", str(out), *SETTINGS, "--objective", objective]) == 0
    return out


@pytest.fixture
def csv_file(tmp_path):
    def write(*rows: str) -> Path:
        """rows: rater, image, method, score; all of the main part of Set5."""
        file = tmp_path / "ratings.csv"
        cells = [row.split(",") for row in rows]
        lines = [f"{rater},Set5,{image},{method},main,0,{score}" for rater, image, method, score in cells]
        file.write_text("\n".join([HEADER, *lines, ""]))
        return file

    return write


def analysed(file: Path, capsys, *options: str) -> tuple[dict, str]:
    """The JSON and what the terminal shows."""
    out = file.with_name("analysis.json")
    assert main(["--csv", str(file), "--json", str(out), *options]) == 0, capsys.readouterr().err
    return json.loads(out.read_text()), capsys.readouterr().out


def test_json_has_the_figures_in_the_agreed_layout(csv_file, capsys):
    """Raters' means of srgan 3 and 4: 3.5, standard deviation 1 / sqrt 2, t(0.975, 1) = 12.706."""
    rows = ["r1,baby,srgan,2", "r1,bird,srgan,4", "r2,baby,srgan,3", "r2,bird,srgan,5"]
    rows += ["r1,baby,hr,5", "r1,bird,hr,5", "r2,baby,hr,4", "r2,bird,hr,5"]
    document, text = analysed(csv_file(*rows), capsys)
    assert document["source"] == str(csv_file(*rows))
    assert document["simulated"] is False
    srgan, hr = document["mos"]
    assert (srgan["dataset"], srgan["method"], hr["method"]) == ("Set5", "srgan", "hr")
    assert (srgan["mos"], srgan["n"], srgan["raters"], srgan["images"]) == (3.5, 4, 2, 2)
    assert set(srgan["ci"]) == {"raters", "raters+images", "bootstrap", "iid"}
    assert srgan["ci"]["raters"] == pytest.approx([3.5 - 6.3531, 3.5 + 6.3531], abs=1e-4)
    assert srgan["ci"]["iid"] == pytest.approx([3.5 - 1.2651, 3.5 + 1.2651], abs=1e-3)
    assert (srgan["paper"], srgan["difference"]) == (3.58, pytest.approx(-0.08))
    (pair,) = document["pairs"]
    assert {"dataset", "a", "b", "unit", "n", "statistic", "p", "p_holm", "effect"} <= set(pair)
    assert (pair["a"], pair["b"], pair["unit"], pair["n"], pair["difference"]) == ("hr", "srgan", "rating", 4, 1.25)
    assert pair["effect"] == 1
    # Differences 3, 1, 1, 0: of the 8 signs of the other three, one has all on each side.
    assert (pair["statistic"], pair["p"]) == (0, 0.25)
    assert document["friedman"] == []
    assert {"icc2_1", "icc2_k", "krippendorff_ordinal", "krippendorff_interval", "retest"} <= set(
        document["reliability"]
    )
    assert document["reliability"]["retest"] is None
    assert document["screening"] == []
    assert {"findings", "ranks", "raters", "nemenyi", "provenance", "notes", "sos"} <= set(document)
    assert SIMULATED not in text
    assert "| Set5 | SRGAN | 3.50 | -2.85 to 9.85 | 4 | 2 | 2 | 3.58 | -0.08 |" in " ".join(text.split())


def test_files_and_what_they_say_of_themselves(folder, simulated):
    names = {path.name for path in folder.iterdir()}
    tables = set(TABLES)
    assert names >= {f"{name}.{kind}" for name in tables for kind in ("csv", "tex")}
    assert names >= {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert names >= {"analysis.md", "analysis.json"}
    assert [path.name for path in folder.parent.iterdir()] == ["analysis"]  # nothing temporary is left
    origin = (str(simulated), "1 rater left out by constant: same", "seed 7", "interval raters+images", "version 0")
    for path in folder.iterdir():
        if path.suffix in (".md", ".csv", ".tex", ".svg"):
            # An SVG has a caption's lines as text of their own, and a table's text may be broken anywhere.
            text = " ".join(re.sub(r"<[^>]+>", " ", path.read_text()).split())
            assert SIMULATED in text, path.name
            for part in origin if path.suffix != ".svg" else ("seed 7", "version 0"):
                assert part in text, (path.name, part)
    markdown = (folder / "analysis.md").read_text()
    headings = re.findall("^#+ .*", markdown, re.MULTILINE)
    assert headings
    assert all(SIMULATED in heading for heading in headings)
    for name in FIGURES:
        assert f"]({name}.png)" in markdown


def test_json_of_a_folder_says_what_was_chosen(folder, simulated):
    document = json.loads((folder / "analysis.json").read_text())
    assert document["simulated"]
    chosen = {"seed": 7, "interval": "raters+images", "excluded": ["same"], "excluded_by": ["constant"]}
    chosen |= {"bias_removed": True, "unit": "rating", "zeros": "pratt", "source": str(simulated), "raters": 6}
    assert chosen.items() <= document["provenance"].items()
    assert {"python", "numpy", "scipy", "statsmodels"} <= set(document["provenance"]["packages"])
    assert document["reliability"]["retest"]["n"] == 60
    flagged = {(flag["rater"], flag["rule"]): flag["excluded"] for flag in document["screening"]}
    assert flagged["same", "constant"] is True
    psnr = {row["method"]: row["psnr"] for row in document["objective"]}
    measured = json.loads((ROOT / "results" / "paper.json").read_text())["results"]["BSD100"]["srgan"]["images"]
    assert psnr["srgan"] == pytest.approx(sum(measured[f"img_{n:03d}"]["psnr"] for n in range(1, 11)) / 10)
    assert "hr" not in psnr


def test_csv_files_are_the_tables_unrounded(folder):
    written = pd.read_csv(folder / "mos.csv", skiprows=1)
    document = json.loads((folder / "analysis.json").read_text())
    assert written["mos"].tolist() == [row["mos"] for row in document["mos"]]
    assert written["low"].tolist() == written["raters+images_low"].tolist()
    paper = ["nearest", "bicubic", "srcnn", "selfexsr", "drcn", "espcn", "srresnet", "srgan", "hr"]
    assert written["method"].tolist() == paper
    assert len(pd.read_csv(folder / "images.csv", skiprows=1)) == 90


def test_exclusion_and_bias_removal_change_what_they_should(simulated):
    ratings = read_ratings(simulated)
    plain = analyse(ratings, Choices())
    assert (plain.raters_rated, plain.excluded) == (7, ())
    assert ("same", "constant") in {(flag.rater, flag.rule) for flag in plain.flags}
    less = analyse(ratings, Choices(exclude=("constant",)))
    kept = ratings.table[ratings.table["rater"] != "same"]
    expected = mos_table(kept).set_index("method")["mos"]
    assert less.mos.set_index("method")["mos"].to_dict() == pytest.approx(expected.to_dict())
    unbiased = analyse(ratings, Choices(exclude=("constant",), remove_bias=True))
    width = [(of.mos["high"] - of.mos["low"]).mean() for of in (less, unbiased)]
    assert width[1] < width[0]
    # Scores of one rater are compared in these, so that the rater's bias is nothing to them.
    pd.testing.assert_frame_equal(less.pairs, unbiased.pairs)
    pd.testing.assert_frame_equal(less.ranks, unbiased.ranks)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (["r1,baby,srgan,4", "r1,baby,hr,5", "r1,bird,srgan,2"], "rated by one rater alone, so there is no interval"),
        (["r1,baby,srgan,4", "r2,baby,srgan,5"], "Set5: srgan is the only method"),
        (["r1,baby,srgan,4", "r2,baby,hr,5"], "Set5: no rater has rated both of hr and srgan"),
        (
            ["r1,baby,srgan,4", "r1,baby,hr,5", "r1,baby,drcn,3", "r2,baby,hr,5", "r2,baby,drcn,2"],
            "Set5: ranks need one rater's ratings of every method of an image: 1 such blocks, 1 left out",
        ),
        (["r1,baby,srgan,4", "r1,baby,hr,5", "r2,baby,hr,5"], "Ratings missing: 1 of 2 stimuli x 2 raters"),
    ],
)
def test_small_studies_get_what_can_be_computed_and_a_note(csv_file, capsys, rows, note):
    document, text = analysed(csv_file(*rows), capsys)
    assert any(note in told for told in document["notes"])
    assert note in text
    assert document["mos"]


def test_figures_of_the_smallest_study(csv_file, tmp_path):
    assert main(["--csv", str(csv_file("r1,baby,srgan,4")), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "mos.png").is_file()
    (row,) = json.loads((tmp_path / "out" / "analysis.json").read_text())["mos"]
    assert (row["mos"], row["ci"]["raters"]) == (4, [None, None])


def test_people_and_artificial_raters_together_are_noted(csv_file, capsys):
    file = csv_file("r1,baby,srgan,4", "r2,baby,srgan,5")
    header, *rows = file.read_text().split()
    file.write_text("\n".join([f"{header},simulated", f"{rows[0]},true", f"{rows[1]},false"]))
    document, text = analysed(file, capsys)
    assert document["simulated"]
    assert "1 of 2 raters are artificial" in text
    assert SIMULATED in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--csv", "absent.csv"], "absent.csv cannot be read"),
        ([], "The database study/study.db is missing"),
        (["--csv", "ratings.csv", "--exclude", "constant"], "--exclude constant leaves no rater in ratings.csv"),
        (
            ["--csv", "ratings.csv", "--objective", "ratings.csv"],
            "ratings.csv is not a result of python -m sr evaluate",
        ),
        (["--csv", "ratings.csv", "--objective", "a.json", "b.json"], "are of different protocols (paper, standard)"),
        (["--csv", "ratings.csv", "--objective", "a.json", "c.json"], "a.json and c.json both measure srgan on Set5"),
        (["--csv", "ratings.csv", "--seed", "-1"], "--seed is -1"),
        (["--csv", "ratings.csv", "--effect", "0.1"], "--effect belongs to --power"),
        (["--csv", "ratings.csv", "--json", "ratings.csv/a.json"], "is a file: name a folder"),
        (["--power", "--target", "1.5"], "target power is 1.5"),
    ],
)
def test_errors_are_a_sentence_and_write_nothing(csv_file, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    csv_file(*(f"r1,image{n},srgan,3" for n in range(12)))
    for name, protocol in (("a", "paper"), ("b", "standard"), ("c", "paper")):
        cell = {"srgan": {"psnr": 29.4, "ssim": 0.85}}
        Path(f"{name}.json").write_text(json.dumps({"protocol": protocol, "results": {"Set5": cell}}))
    before = set(tmp_path.rglob("*"))
    assert main([*options, "-o", "out"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert set(tmp_path.rglob("*")) == before


def test_a_failure_leaves_the_older_report_as_it_was(csv_file, tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise OSError(28, "No space left on device")

    file, out = csv_file("r1,baby,srgan,4", "r2,baby,srgan,5", "r1,baby,hr,5"), tmp_path / "out"
    monkeypatch.setattr(report_study, "draw_figures", lambda *_: [])
    assert main(["--csv", str(file), "-o", str(out)]) == 0
    older = {path: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(report_study, "draw_figures", fail)
    assert main(["--csv", str(file), "-o", str(out), "--seed", "1"]) == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == older
    assert {path.name for path in tmp_path.iterdir()} == {"ratings.csv", "out"}


def test_a_new_report_leaves_no_file_of_an_older_one(csv_file, tmp_path, monkeypatch):
    monkeypatch.setattr(report_study, "draw_figures", lambda *_: [])
    out = tmp_path / "out"
    assert main(["--csv", str(csv_file("r1,baby,srgan,4", "r1,baby,hr,5")), "-o", str(out)]) == 0
    for name in ("mine.txt", "objective.png"):
        (out / name).write_text("older")
    assert (out / "pairs.csv").is_file()
    assert main(["--csv", str(csv_file("r1,baby,srgan,4")), "-o", str(out)]) == 0
    assert not [*out.glob("pairs.*"), *out.glob("objective.*")]
    assert (out / "mine.txt").is_file()


def test_ratings_are_not_overwritten_by_a_table(csv_file, capsys):
    file = csv_file("r1,baby,srgan,4")
    ratings = file.rename(file.with_name("raters.csv"))
    assert main(["--csv", str(ratings), "-o", str(ratings.parent)]) == 2
    assert "raters.csv would be overwritten" in capsys.readouterr().err


def test_it_runs_as_a_file_from_anywhere_and_prints_its_stages(csv_file, tmp_path):
    """As a file, mos_study/statistics must not hide the standard library's module."""
    file = csv_file("r1,baby,srgan,4", "r2,baby,srgan,5")
    command = [sys.executable, str(ROOT / "mos_study" / "analyze.py"), "--csv", str(file), "--timing"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| Set5     | SRGAN  | 4.50 |" in done.stdout
    stages = dict(re.findall(r"^([a-z ]+): (\d+\.\d)$", done.stdout, re.MULTILINE))
    assert {"import", "read", "screening", "pairs", "reliability", "total"} <= set(stages)


def test_power_needs_no_ratings(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--power", "--studies", "2", "--between", "hr", "bicubic", "--effect", "1", "--unit", "image"]
    assert main([*options, "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "To tell hr from bicubic" in shown
    names = {f"power{end}" for end in (".csv", ".tex", ".png", ".svg", "_by_size.csv", "_by_size.tex")}
    assert {path.name for path in out.iterdir()} == names | {"power-analysis.md", "power-analysis.json"}
    by_size = pd.read_csv(out / "power_by_size.csv", skiprows=1).set_index("raters")
    power = pd.read_csv(out / "power.csv", skiprows=1).set_index(["raters", "images"])["power"]
    assert by_size.loc[26, "14_images"] == power[26, 14]
    document = json.loads((out / "power-analysis.json").read_text())
    assert document["simulated"]
    assert document["provenance"]["studies"] == 2
    assert {row["unit"] for row in document["power"]} == {"image"}


def test_the_help_explains_every_choice():
    text = arguments_parser().format_help()
    for rule in RULES:
        assert re.search(rf"\b{rule}: ", text), rule
    for name in (
        "raters",
        "raters\\+images",
        "bootstrap",
        "iid",
        "rating",
        "image",
        "rater",
        "pratt",
        "wilcox",
        "zsplit",
    ):
        assert re.search(rf"\b{name}: ", text), name


def test_a_table_in_each_format():
    data = pd.DataFrame({"method": ["a_b|c", "50 %"], "value": [-0.5, float("nan")]})
    columns = [
        Column("method", lambda row: row.method, right=False),
        Column("value", lambda row: number(row.value)),
    ]
    table = Table("t", "Title", data, columns)
    assert as_markdown(table) == "\n".join(
        ["| method | value |", "| ------ | ----: |", r"| a_b\|c | -0.50 |", "| 50 %   |     - |"]
    )
    latex = as_latex(table, "origin", simulated=True)
    assert r"a\_b$|$c & $-$0.50 \\" in latex
    assert r"50 \% & - \\" in latex
    assert rf"\multicolumn{{2}}{{l}}{{\textbf{{{SIMULATED}}}}}" in latex
    assert as_csv(table, "origin", simulated=False) == "# origin\nmethod,value\na_b|c,-0.5\n50 %,\n"


def test_figures_for_people():
    assert [number(value) for value in (1.005, -0.001, None, float("nan"))] == ["1.00", "0.00", "-", "-"]
    assert [p_value(value) for value in (0.0004, 0.0496, 1.0, None)] == ["< 0.001", "0.050", "1.000", "-"]
