"""A study's configuration: typed, frozen, read from YAML; an unknown key is an error."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from mos_study.records import CALIBRATION_DATASET
from mos_study.yaml_file import read_yaml
from sr.errors import SRError
from sr.methods import METHODS

TEXTS = Path(__file__).parent / "pages" / "texts"
HR = "hr"  # the originals' name among the methods


def _check_name(name: str) -> str:
    # It goes into tables, CSV files and command lines.
    if name != CALIBRATION_DATASET and not re.fullmatch(r"\w[\w.+-]*", name):
        raise ValueError(f"a name has letters, digits, dots, hyphens, plus signs and underscores only, got {name!r}")
    return name


def _check_words(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    return text


def _check_method(name: str) -> None:
    if name != HR and name not in METHODS:
        known = ", ".join([*METHODS, HR])
        raise ValueError(
            f"unknown method {name!r}; use one of {known}, or (in a data set) give a folder of its pictures"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _as_images(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    if value is None or _is_count(value):
        return value
    raise ValueError(
        f"expected a number above 0 or a list of file names without endings (in quotes if of digits), got {value!r}"
    )


def _as_method(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _as_sampling(value: Any) -> Any:
    if value in (None, "all"):
        return None
    if _is_count(value):
        return value
    raise ValueError(f'expected "all" or a number of trials above 0, got {value!r}')


_STRICT = ConfigDict(extra="forbid", strict=True)
_Count = Annotated[int, Field(ge=1)]
_Score = Annotated[int, Field(ge=1, le=5)]
_Name = Annotated[str, AfterValidator(_check_name)]
_Words = Annotated[str, AfterValidator(_check_words)]
_Texts = dict[str, _Words]  # by language
_Images = Annotated[int | tuple[str, ...] | None, BeforeValidator(_as_images)]
_Crop = tuple[_Count, _Count] | None


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class MethodConfig:
    """In YAML a name alone, or `{name: ..., folder: ...}`."""

    name: _Name
    folder: str | None = None  # of pictures made elsewhere, named as the HR images

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.folder is None:
            _check_method(self.name)
        elif self.name == HR:
            raise ValueError(
                f"{HR!r} is the data set's own folder of originals and takes no folder; choose another name"
            )
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class DatasetConfig:
    name: _Name
    hr: str  # folder of the originals
    lr: str | None = None  # folder of the originals reduced x4, of equal names; none: reduced by MATLAB's bicubic
    images: _Images = None  # so many, drawn by the seed; or these; none: all of the folder
    crop: _Crop = None  # width and height: larger pictures are cut to it around their centre
    methods: tuple[Annotated[MethodConfig, BeforeValidator(_as_method)], ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_empty("methods", self.methods)
        _refuse_repeated("methods", (method.name for method in self.methods))
        if isinstance(self.images, tuple):
            _refuse_repeated("images", self.images)
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class CalibrationConfig:
    """Pictures that show the ends of the scale: all are shown with their scores, then some are rated for practice."""

    hr: str  # folder of the originals
    images: _Images = None
    crop: _Crop = None
    scores: dict[str, _Score]  # by method
    practice: Annotated[int, Field(ge=0)] = 0  # trials that are rated for practice

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_empty("scores", tuple(self.scores))
        for name in self.scores:
            _check_method(name)
        if isinstance(self.images, tuple):
            _refuse_repeated("images", self.images)
        return self

    def as_dataset(self) -> DatasetConfig:
        """The pictures of the calibration, their data set being called CALIBRATION_DATASET."""
        methods = tuple(MethodConfig(name=name) for name in sorted(self.scores))
        name = CALIBRATION_DATASET
        return DatasetConfig(name=name, hr=self.hr, images=self.images, crop=self.crop, methods=methods)


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class RetestConfig:
    """Which of a rater's stimuli are shown a second time: a fraction drawn for each rater, or all of one method."""

    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    method: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.fraction is None) == (self.method is None):
            raise ValueError("give either fraction or method; leave the key out for no retest")
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class SessionsConfig:
    trials: _Count  # at most, between two breaks; sessions are of equal length, give or take one
    break_minutes: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class ChecksConfig:
    """Short tests of the rater's sight before the study."""

    acuity: bool = False
    colour: bool = False


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class QuestionConfig:
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    kind: Literal["choice", "number", "text"]
    text: _Texts
    options: dict[str, tuple[_Words, ...]] = Field(default_factory=dict)  # by language, in the same order
    required: bool = False
    minimum: int = 0  # of a number
    maximum: int = 1_000_000

    @model_validator(mode="after")
    def _check(self) -> Self:
        lengths = {len(options) for options in self.options.values()}
        if self.kind == "choice" and (len(lengths) != 1 or min(lengths) < 2):
            raise ValueError("a choice needs two or more options, as many in every language")
        if self.kind != "choice" and self.options:
            raise ValueError(f"only a choice has options, and this is a {self.kind}")
        for language, options in self.options.items():
            _refuse_repeated(f"options.{language}", options)
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class StudyConfig:
    """Paths are as written: relative ones start at the YAML file's folder, `$VARIABLES` are expanded when used."""

    name: _Words
    seed: int  # of the images drawn and of every rater's order
    languages: tuple[str, ...]  # the first is the default
    datasets: tuple[DatasetConfig, ...]
    calibration: CalibrationConfig
    sessions: SessionsConfig
    retest: RetestConfig | None = None
    sampling: Annotated[int | None, BeforeValidator(_as_sampling)] = None  # main trials per rater; "all" or none: all
    open: _Count | None = None  # raters that may join by themselves; none: only invited ones
    undo: bool = False
    checks: ChecksConfig = Field(default_factory=ChecksConfig)
    consent: _Texts = Field(default_factory=dict)  # in place of the page's own text
    instructions: _Texts = Field(default_factory=dict)
    questions: tuple[QuestionConfig, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        _refuse_empty("datasets", self.datasets)
        _refuse_empty("languages", self.languages)
        _refuse_repeated("datasets", (dataset.name for dataset in self.datasets))
        if any(dataset.name == CALIBRATION_DATASET for dataset in self.datasets):
            raise ValueError(f"datasets: {CALIBRATION_DATASET} is the calibration's name; choose another")
        _refuse_repeated("questions", (question.id for question in self.questions))
        _refuse_repeated("languages", self.languages)
        known = sorted(file.stem for file in TEXTS.glob("*.yaml"))
        if unknown := [language for language in self.languages if language not in known]:
            raise ValueError(f"languages: the pages have no texts in {', '.join(unknown)}, only in {', '.join(known)}")
        written = {"consent": self.consent, "instructions": self.instructions}
        for question in self.questions:
            written[f"question {question.id}"] = question.text
            written[f"question {question.id}, options"] = question.options
        for what, texts in written.items():
            if texts and (wrong := set(texts) ^ set(self.languages)):
                raise ValueError(f"{what}: give each of the study's languages a text, see {', '.join(sorted(wrong))}")
        if self.retest and self.retest.method is not None:
            methods = {method.name for dataset in self.datasets for method in dataset.methods}
            if self.retest.method not in methods:
                raise ValueError(f"retest: no data set has the method {self.retest.method!r}")
        return self

    def canonical(self) -> str:
        """The whole configuration, defaults included, as JSON with sorted keys; `config_from_json` reads it."""
        return json.dumps(_ADAPTER.dump_python(self, mode="json"), sort_keys=True, ensure_ascii=False)

    def fingerprint(self) -> str:
        """SHA-256 of `canonical`, in hexadecimal."""
        return sha256(self.canonical().encode()).hexdigest()


_ADAPTER = TypeAdapter(StudyConfig)


def load_study(path: str | Path) -> StudyConfig:
    """Reads a configuration file. Raises SRError that names the file and everything that is wrong with it."""
    return config_from_json(json.dumps(read_yaml(path), default=str), source=str(path))


def config_from_json(text: str, source: str = "the study's configuration") -> StudyConfig:
    """The reverse of `StudyConfig.canonical`. Raises SRError that names `source` and all that is wrong."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise SRError(f"{source}: {'; '.join(map(_sentence, error.errors()))}") from error


def _refuse_empty(what: str, values: tuple) -> None:
    if not values:
        raise ValueError(f"{what} is an empty list; name at least one")


def _refuse_repeated(what: str, names: Iterable[str]) -> None:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{what}: {', '.join(repeated)} is given twice")


def _sentence(error: Any) -> str:
    """One of pydantic's errors in words: datasets[0].crop: ..."""
    # The kinds of a union follow the place of its value; they mean nothing to the reader.
    place = [part for part in error["loc"] if isinstance(part, int) or part.isidentifier()]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    if error["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key {where}"
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{where} is missing"
    words = error["msg"].removeprefix("Value error, ")
    got = "" if error["type"] == "value_error" else f", got {error['input']!r}"
    return f"{where}: {words}{got}" if where else f"{words}{got}"
