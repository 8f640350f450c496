"""The report's tables: all means, every image, and Markdown with the paper's figures beside the measured ones."""

import math
from typing import Any

import pandas as pd

from sr.paper import PAPER
from sr.protocols import PROTOCOLS
from sr.report.contents import Contents
from sr.tables import markdown_table


def means(contents: Contents) -> pd.DataFrame:
    """A row per set, method and protocol.

    Columns: set, method, protocol, images, psnr, ssim, paper_psnr, paper_ssim, psnr_difference, ssim_difference
    (measured minus the paper's; in its protocol only), one per measure, seconds_per_megapixel, and note, which says why
    a method that the paper has was not measured.
    """
    rows = []
    for images in contents.sets:
        for method in contents.methods(images.name):
            for protocol in PROTOCOLS:
                row: dict[str, Any] = {"set": images.name, "method": method, "protocol": protocol}
                cell = contents.results[protocol][images.name].get(method)
                psnr, ssim = PAPER.get(method, {}).get(images.name, (None, None))
                if protocol == "paper":
                    row |= {"paper_psnr": psnr, "paper_ssim": ssim}
                if cell is None:
                    rows.append(row | {"note": contents.reason(method)})
                    continue
                row |= {"images": len(cell["images"]), "psnr": cell["psnr"], "ssim": cell["ssim"]}
                row |= {key: cell[key] for key in contents.measures}
                row["seconds_per_megapixel"] = contents.seconds.get(method)
                if protocol == "paper" and psnr is not None and math.isfinite(psnr):
                    row |= {"psnr_difference": cell["psnr"] - psnr, "ssim_difference": cell["ssim"] - ssim}
                rows.append(row)
    columns = ["set", "method", "protocol", "images", "psnr", "ssim", "paper_psnr", "paper_ssim"]
    columns += ["psnr_difference", "ssim_difference", *contents.measures, "seconds_per_megapixel", "note"]
    return pd.DataFrame(rows).reindex(columns=columns).astype({"images": "Int64"})


def every_image(contents: Contents) -> pd.DataFrame:
    """A row per set, image and method: psnr_paper, ssim_paper, psnr_standard, ssim_standard, one column per measure."""
    rows = []
    for images in contents.sets:
        for image in images:
            for method in contents.titles:
                row: dict[str, Any] = {"set": images.name, "image": image.name, "method": method}
                for protocol in PROTOCOLS:
                    figures = contents.results[protocol][images.name][method]["images"][image.name]
                    row |= {f"{key}_{protocol}": figures[key] for key in ("psnr", "ssim")}
                rows.append(row | {key: figures[key] for key in contents.measures})
    return pd.DataFrame(rows)


def as_markdown(contents: Contents) -> dict[str, str]:
    """Set -> its table."""
    header = ["method", "PSNR", "cited", "difference", "SSIM", "cited", "difference", "PSNR", "SSIM"]
    measures = {key: title for key, (title, _) in contents.measures.items()}
    header += [*measures.values(), *contents.unmeasured, "s / Mpixel"]
    tables = {}
    for name, rows in means(contents).groupby("set", sort=False):
        lines = []
        for method, pair in rows.groupby("method", sort=False):
            paper, standard = pair.to_dict("records")
            title = contents.title(method)
            cited = [_number(paper["paper_psnr"], 2), _number(paper["paper_ssim"], 4)]
            if paper["note"] is not None and not pd.isna(paper["note"]):
                empty = [""] * (len(header) - 6)
                lines.append([title, paper["note"], cited[0], "", "", cited[1], *empty])
                continue
            line = [title, _number(paper["psnr"], 2), cited[0], _number(paper["psnr_difference"], 2, signed=True)]
            line += [_number(paper["ssim"], 4), cited[1], _number(paper["ssim_difference"], 4, signed=True)]
            line += [_number(standard["psnr"], 2), _number(standard["ssim"], 4)]
            line += [_number(paper[key], 3) for key in measures] + [""] * len(contents.unmeasured)
            lines.append([*line, _number(paper["seconds_per_megapixel"], 3)])
        tables[name] = markdown_table(header, lines)
    return tables


def _number(value: float | None, digits: int, signed: bool = False) -> str:
    if value is None or pd.isna(value):
        return ""
    # Adding zero takes the sign off a value that rounds to zero.
    return f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}"
