"""The bodies that raters' pages send. Anything else in them, or anything of another kind, is refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

TOKEN = r"^[A-Za-z0-9_-]{1,64}$"
DAYS_20 = 20 * 24 * 3600 * 1000  # milliseconds; nobody looks longer at a picture

Pixels = Annotated[int, Field(ge=0, le=100_000)]
Milliseconds = Annotated[int, Field(ge=0, le=DAYS_20)]
Token = Annotated[str, Field(pattern=TOKEN)]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Empty(Body):
    pass


class Consent(Body):
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")]


class Facts(Body):
    """What a page knows about its screen."""

    pixel_ratio: Annotated[float, Field(gt=0, le=100)]  # device pixels per CSS pixel
    zoom: Annotated[int, Field(gt=0, le=10_000)]  # percent
    window_width: Pixels  # of CSS
    window_height: Pixels
    screen_width: Pixels
    screen_height: Pixels


class Answers(RootModel[dict[str, JsonValue]]):
    """By the questions' keys; `mos_study.desk` knows which there are."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class Rating(Body):
    trial: Token
    score: Annotated[int, Field(ge=1, le=5)]
    visible_ms: Milliseconds
    hidden_ms: Milliseconds
    client: Facts | None = None


class Undo(Body):
    """trial: the one on screen. Sent again after a lost acknowledgement, it cannot undo a second rating."""

    trial: Token | None = None
