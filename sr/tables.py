"""Markdown tables whose columns line up in the text itself."""

from collections.abc import Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """The first `words` columns to the left, the others, figures, to the right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    rule = ["-" * w if column < words else "-" * (w - 1) + ":" for column, w in enumerate(widths)]
    return "\n".join(
        "| "
        + " | ".join(
            text.ljust(w) if column < words else text.rjust(w)
            for column, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in (header, rule, *rows)
    )
