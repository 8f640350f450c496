"""The report's files."""

from pathlib import Path

from PIL import Image

from sr.errors import SRError
from sr.evaluate import write_json
from sr.files import write_text
from sr.images import write_png
from sr.plots import write
from sr.report.contents import Contents
from sr.report.plane import KEY, draw_plane
from sr.report.sheets import Sheets
from sr.report.tables import as_markdown, every_image, means

FIGURE, PLANE, SHEETS = "figure.png", "plane.png", "sheets"


def write_report(contents: Contents, sheets: Sheets, figure: Image.Image, folder: Path) -> list[Path]:
    """Writes paper.json, standard.json, table.csv, images.csv, report.md, figure.png, plane.png (where VGG features
    were measured) and sheets/SET.png into `folder`. Returns their paths.

    The same contents give the same bytes. Raises SRError where a file cannot be written.
    """
    files = []
    for protocol, results in contents.results.items():
        files.append(folder / f"{protocol}.json")
        write_json(files[-1], {"protocol": protocol, "results": results, **contents.provenance})
    for name, table in (("table.csv", means(contents)), ("images.csv", every_image(contents))):
        files.append(folder / name)
        _write_text(files[-1], table.to_csv(index=False, lineterminator="\n"))
    files.append(folder / FIGURE)
    write_png(figure, files[-1])
    if KEY in contents.measures:
        files.append(folder / PLANE)
        write(draw_plane(contents), files[-1])
    for name, sheet in sheets.draw(contents.titles).items():
        files.append(folder / SHEETS / f"{name}.png")
        write_png(sheet, files[-1])
    files.append(folder / "report.md")
    _write_text(files[-1], _markdown(contents))
    return files


def _markdown(contents: Contents) -> str:
    facts = contents.provenance
    lines = [
        "# Tables 1 and 2 of the paper, measured",
        "",
        f"`{facts['command']}`",
        "",
        f"fp32 on {facts['device']}; torch {facts['versions']['torch']}. PSNR in dB. The first PSNR and SSIM are of",
        "the protocol *paper* (BT.709 luma, daala's SSIM); beside them those that the paper cites, and the difference,",
        "measured minus cited. The second are of the protocol *standard* (BT.601 luma, Wang's SSIM). s / Mpixel:",
        "seconds per megapixel of the result.",
        "",
    ]
    lines += [f"- {title}: {description}; lower is better." for title, description in contents.measures.values()]
    lines += [f"- {title}: empty, because {reason}." for title, reason in contents.unmeasured.items()]
    for name, table in as_markdown(contents).items():
        (images,) = (images for images in contents.sets if images.name == name)
        lines += ["", f"## {name}: {len(images)} images", "", table]
        lines += ["", f"Left out for all methods: {'; '.join(images.skipped)}."] if images.skipped else []
    lines += ["", "## Pictures", "", f"![Restored crops and the originals]({FIGURE})", ""]
    if KEY in contents.measures:
        lines += [f"![PSNR against the distance of VGG features]({PLANE})", ""]
    lines.append(
        f"The middle of every image by every method: `{SHEETS}/SET.png`, `images.csv` has the figures of each."
    )
    return "\n".join(lines) + "\n"


def _write_text(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise SRError(f"cannot write {path}: {error.strerror}") from error
