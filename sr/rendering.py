"""Pictures of text, charts and drawings to train on: collections of photographs have few, users enlarge many."""

import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from sr.errors import SRError

WIDTHS, HEIGHTS = (480, 800), (360, 600)  # pixels, from and to
SMOOTH = 3  # drawn this many times larger and averaged; the others have hard edges, as a screen's
STYLES = {  # of each font
    "DejaVuSans": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "DejaVuSerif": ("", "-Bold", "-Italic", "-BoldItalic"),
    "DejaVuSansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
    "STIXGeneral": ("", "Bol", "Italic", "BolIta"),
}
NEEDED = set(string.ascii_letters + string.digits + ".,;:!?)%-")
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"  # by how often English has them
Colour = tuple[int, int, int]


def render(seed: int, fonts: Sequence[Path] = ()) -> np.ndarray:
    """A picture that depends on seed and fonts alone: uint8 (H, W, 3), 480 to 800 pixels wide and 360 to 600 high.

    Text, tables, charts, outlined shapes or stripes, in random sizes and colours.
    fonts: TrueType or OpenType files (`find_fonts`); none: DejaVu and STIX, which matplotlib has with it.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.integers(*WIDTHS)), int(rng.integers(*HEIGHTS))
    zoom = SMOOTH if rng.random() < 0.7 else 1
    canvas = Canvas(rng, size, zoom, fonts)
    kinds: list[Callable[[Canvas], None]] = [text_page, slide, table, chart, shapes, stripes]
    kinds[rng.integers(len(kinds))](canvas)
    return np.asarray(canvas.image.reduce(zoom))


class Canvas:
    """A picture to draw on, its random numbers and a pair of colours that differ in brightness.

    Lengths are given in pixels of the result and drawn `zoom` times as long.
    """

    def __init__(self, rng: Generator, size: tuple[int, int], zoom: int, fonts: Sequence[Path]):
        self.rng, self.zoom, self.fonts = rng, zoom, fonts
        self.width, self.height = size
        self.paper, self.ink = self._contrast()
        self.image = Image.new("RGB", (self.width * zoom, self.height * zoom), self.paper)
        if rng.random() < 0.3:
            self._shade()
        self.draw = ImageDraw.Draw(self.image)

    def _contrast(self) -> tuple[Colour, Colour]:
        black_on_white = [(255, 255, 255), (0, 0, 0)]
        pair = black_on_white if self.rng.random() < 0.4 else [self.colour(160, 256), self.colour(0, 110)]
        return tuple(pair if self.rng.random() < 0.7 else pair[::-1])

    def _shade(self) -> None:
        """The paper's colour runs into another one, downwards or to the right."""
        ramp = Image.linear_gradient("L").rotate(float(self.rng.choice([0, 90]))).resize(self.image.size)
        end = tuple(int(np.clip(c + self.rng.integers(-60, 60), 0, 255)) for c in self.paper)
        self.image.paste(Image.new("RGB", self.image.size, end), mask=ramp)

    def colour(self, low: int = 0, high: int = 256) -> Colour:
        return tuple(int(value) for value in self.rng.integers(low, high, 3))

    def at(self, *lengths: float) -> tuple[float, ...]:
        return tuple(length * self.zoom for length in lengths)

    def line_width(self, most: float = 5) -> int:
        return max(1, round(self.rng.uniform(0.7, most) * self.zoom))

    def font(self, pixels: float) -> ImageFont.FreeTypeFont:
        if self.fonts:
            return _font(self.fonts[self.rng.integers(len(self.fonts))], round(pixels * self.zoom))
        family = str(self.rng.choice(list(STYLES)))
        file = f"{family}{self.rng.choice(STYLES[family])}.ttf"
        return _font(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / file, round(pixels * self.zoom))

    def write(self, x: float, y: float, text: str, font: ImageFont.FreeTypeFont, colour: Colour, anchor="la") -> None:
        self.draw.text(self.at(x, y), text, fill=colour, font=font, anchor=anchor)

    def words(self, count: int) -> str:
        """Made-up words and numbers: what matters is the look of letters."""
        return " ".join(_word(self.rng) for _ in range(count))

    def point(self) -> tuple[float, float]:
        return float(self.rng.uniform(0, self.width)), float(self.rng.uniform(0, self.height))


def text_page(canvas: Canvas) -> None:
    """Lines of text in one to three columns, perhaps turned a little."""
    rng = canvas.rng
    pixels = rng.uniform(9, 40)
    columns = int(rng.integers(1, 4)) if pixels < 18 else 1
    step = pixels * rng.uniform(1.1, 1.7)
    wide = canvas.width / columns
    for column in range(columns):
        font = canvas.font(pixels)
        most = wide - 0.3 * pixels
        for y in np.arange(rng.uniform(0, step), canvas.height, step):
            if rng.random() < 0.08:
                font = canvas.font(pixels)
            text = canvas.words(int(most / pixels) + 2)
            while font.getlength(text) > most * canvas.zoom and " " in text:
                text = text.rpartition(" ")[0]
            canvas.write(column * wide + 0.4 * pixels, float(y), text, font, canvas.ink)
    if rng.random() < 0.25:
        angle = float(rng.uniform(-12, 12))
        canvas.image = canvas.image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=canvas.paper)


def slide(canvas: Canvas) -> None:
    """A title, bullets and a few labelled boxes with lines from them."""
    rng, large = canvas.rng, canvas.rng.uniform(24, 48)
    canvas.write(rng.uniform(5, 60), 8, canvas.words(4), canvas.font(large), canvas.ink)
    small = large * rng.uniform(0.35, 0.7)
    font = canvas.font(small)
    y = 1.7 * large
    while y < canvas.height * rng.uniform(0.4, 1):
        indent = float(rng.choice([20, 20, 50]))
        left, top = canvas.at(indent, y + 0.4 * small)
        canvas.draw.ellipse((left, top, *canvas.at(indent + 0.4 * small, y + 0.8 * small)), fill=canvas.colour())
        canvas.write(indent + small, y, canvas.words(int(rng.integers(2, 9))), font, canvas.ink)
        y += small * rng.uniform(1.2, 1.8)
    for _ in range(rng.integers(0, 6)):
        x, y = canvas.point()
        box = canvas.at(x, y, x + rng.uniform(40, 200), y + rng.uniform(20, 90))
        fill = canvas.colour(120, 256)
        canvas.draw.rounded_rectangle(
            box, rng.uniform(0, 12) * canvas.zoom, fill, canvas.colour(0, 120), canvas.line_width()
        )
        canvas.write(x + 6, y + 4, canvas.words(2), canvas.font(small), canvas.colour(0, 90))
        canvas.draw.line((*box[:2], *canvas.at(*canvas.point())), canvas.ink, canvas.line_width())


def table(canvas: Canvas) -> None:
    """A grid of ruled cells with numbers and words."""
    rng, pixels = canvas.rng, canvas.rng.uniform(9, 20)
    high, wide = pixels * rng.uniform(1.3, 2.2), pixels * rng.uniform(4, 9)
    font, head, rule = canvas.font(pixels), canvas.font(pixels), canvas.line_width(2)
    shaded, title = canvas.colour(), canvas.colour()
    for row, y in enumerate(np.arange(0, canvas.height, high)):
        if row == 0 or (row % 2 and shaded[0] < 128):
            fill = title if row == 0 else tuple((3 * p + c) // 4 for p, c in zip(canvas.paper, shaded, strict=True))
            canvas.draw.rectangle(canvas.at(0, y, canvas.width, y + high), fill)
        for x in np.arange(0, canvas.width, wide):
            text = f"{rng.normal(0, 10 ** rng.uniform(0, 3)):.{rng.integers(0, 3)}f}" if row else _word(rng)
            canvas.write(x + wide - 4, y + high / 2, text, font if row else head, canvas.ink, "rm")
            canvas.draw.line(canvas.at(x, 0, x, canvas.height), canvas.ink, rule)
        canvas.draw.line(canvas.at(0, y, canvas.width, y), canvas.ink, rule)


def chart(canvas: Canvas) -> None:
    """Axes with ticks and labels, a grid, bars or curves, a legend."""
    rng, pixels = canvas.rng, canvas.rng.uniform(9, 18)
    font, left, bottom = canvas.font(pixels), 4 * pixels, canvas.height - 2.5 * pixels
    right, top = canvas.width - pixels, 2 * pixels
    ticks = int(rng.integers(4, 12))
    faint = tuple((2 * p + i) // 3 for p, i in zip(canvas.paper, canvas.ink, strict=True))
    for k in range(ticks + 1):
        x, y = left + (right - left) * k / ticks, top + (bottom - top) * k / ticks
        canvas.draw.line(canvas.at(left - 4, y, right, y), faint, max(1, canvas.zoom // 2))
        canvas.draw.line(canvas.at(x, bottom, x, bottom + 4), canvas.ink, canvas.zoom)
        canvas.write(left - 6, y, f"{rng.uniform(0, 100):.{rng.integers(0, 3)}f}", font, canvas.ink, "rm")
        canvas.write(x, bottom + 6, str(rng.integers(0, 2000)), font, canvas.ink, "ma")
    for series in range(rng.integers(1, 6)):
        colour, count = canvas.colour(0, 220), int(rng.integers(5, 60))
        xs = np.linspace(left, right, count)
        ys = np.clip(np.cumsum(rng.normal(0, (bottom - top) / 12, count)) + rng.uniform(top, bottom), top, bottom)
        if rng.random() < 0.3:
            half = (right - left) / count * rng.uniform(0.15, 0.45)
            for x, y in zip(xs, ys, strict=True):
                canvas.draw.rectangle(canvas.at(x - half, y, x + half, bottom), colour)
        else:
            points = [canvas.at(x, y) for x, y in zip(xs, ys, strict=True)]
            canvas.draw.line(points, colour, canvas.line_width(3), joint="curve")
        canvas.write(right - 8, top + 4 + 1.3 * pixels * series, canvas.words(2), font, colour, "ra")
    canvas.draw.line([canvas.at(left, top), canvas.at(left, bottom), canvas.at(right, bottom)], canvas.ink, canvas.zoom)


def shapes(canvas: Canvas) -> None:
    """Flat shapes with outlines over each other, as in drawings and comics, and curved strokes."""
    rng = canvas.rng
    outline = canvas.ink if rng.random() < 0.7 else None
    for _ in range(rng.integers(10, 60)):
        x, y = canvas.point()
        radius = float(rng.uniform(6, 110))
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        radii = radius * rng.uniform(0.4, 1, len(angles))
        corners = [canvas.at(x + r * np.cos(a), y + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
        width = canvas.line_width() if outline else 0
        if rng.random() < 0.5:
            canvas.draw.polygon(corners, canvas.colour(), outline, width)
        else:
            box = canvas.at(x - radius, y - radii[0], x + radius, y + radii[0])
            canvas.draw.ellipse(box, canvas.colour(), outline, width)
    for _ in range(rng.integers(0, 40)):
        t = np.linspace(0, 1, 24)[:, None]
        a, b, c = (np.array(canvas.point()) for _ in range(3))
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        canvas.draw.line([canvas.at(*point) for point in curve], canvas.ink, canvas.line_width(4), joint="curve")


def stripes(canvas: Canvas) -> None:
    """Pieces of parallel lines and of checks, of one period and direction each."""
    rng, zoom = canvas.rng, canvas.zoom
    rows, columns = np.mgrid[: canvas.image.height, : canvas.image.width] / zoom
    pixels = np.array(canvas.image)
    for _ in range(rng.integers(4, 20)):
        x, y = canvas.point()
        wide, high = rng.uniform(60, 320, 2)
        angle, period, share = rng.uniform(0, np.pi), rng.uniform(4, 30), rng.uniform(0.25, 0.75)
        if rng.random() < 0.3:
            angle = float(rng.choice([0, np.pi / 2]))
        piece = np.s_[int(y * zoom) : int((y + high) * zoom), int(x * zoom) : int((x + wide) * zoom)]
        along = columns[piece] * np.cos(angle) + rows[piece] * np.sin(angle)
        is_dark = along / period % 1 < share
        if rng.random() < 0.3:
            across = rows[piece] * np.cos(angle) - columns[piece] * np.sin(angle)
            is_dark ^= across / period % 1 < share
        pixels[piece] = np.where(is_dark[..., None], canvas.colour(0, 140), canvas.colour(100, 256))
    canvas.image = Image.fromarray(pixels)


def find_fonts(folder: Path) -> list[Path]:
    """The TrueType and OpenType fonts under a folder that have Latin letters, digits and signs, sorted.

    Raises SRError when there is none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".ttf", ".otf"))
    fonts = [file for file in files if _has_letters(file)]
    if not fonts:
        raise SRError(f"{folder} has no font with Latin letters: a folder with .ttf or .otf files is needed")
    return fonts


def _has_letters(file: Path) -> bool:
    try:
        return {ord(sign) for sign in NEEDED} <= set(FT2Font(str(file)).get_charmap())
    except (OSError, RuntimeError):
        return False


@lru_cache(maxsize=64)
def _font(file: Path, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, pixels)


def _word(rng: Generator) -> str:
    length = int(rng.integers(1, 11))
    if rng.random() < 0.12:
        return "".join(rng.choice(list(string.digits), length))
    ranks = np.minimum(rng.exponential(7, length).astype(int), len(LETTERS) - 1)
    word = "".join(LETTERS[rank] for rank in ranks)
    style = rng.random()
    word = word.upper() if style < 0.1 else word.capitalize() if style < 0.25 else word
    return word + str(rng.choice(list(".,;:!?)%-"))) if rng.random() < 0.12 else word
