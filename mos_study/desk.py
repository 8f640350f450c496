"""What a rater may do and what comes next. The server decides it all; the page sends a trial's token and a score."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, JsonValue, ValidationError

from mos_study import bodies
from mos_study.config import QuestionConfig, config_from_json
from mos_study.design import plan_trials
from mos_study.records import CALIBRATION_DATASET, PlannedTrial, Rater, RateResult, Trial
from mos_study.store import Store
from mos_study.texts import load_texts

SECONDS_PER_TRIAL = 5  # first guess of the time left; the page goes on with the rater's own pace
MAX_ANSWER = 500  # characters
AGENT_LENGTH = 300  # characters of the browser's name that are kept
SIGHT_SCORE = re.compile(r"\d{1,2}/\d{1,2}")


class RefusalError(Exception):
    """A request that changes nothing. status: of HTTP; reason: for the log and the answer, without any content."""

    def __init__(self, status: int, reason: str, rater: Rater | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.rater = status, reason, rater


class Desk:
    """Serves all raters of one study. Holds nothing but what the study's preparation has fixed."""

    def __init__(self, store: Store) -> None:
        """Raises SRError when the database holds no study."""
        self.store = store
        self.config = config_from_json(store.require_study().config)
        self._stimuli = store.stimuli()
        self._largest = [max(s.width for s in self._stimuli), max(s.height for s in self._stimuli)]
        scores = self.config.calibration.scores
        examples = [s for s in self._stimuli if s.dataset == CALIBRATION_DATASET]
        # An image at both ends of the scale, then the next image.
        examples.sort(key=lambda s: (s.image, scores[s.method]))
        self._examples = [(s.sha256, scores[s.method]) for s in examples]
        self._actions = {
            "consent": (bodies.Consent, self._consent),
            "check": (bodies.Facts, self._check),
            "answers": (bodies.Answers, self._answer),
            "calibrated": (bodies.Empty, self._calibrate),
            "resume": (bodies.Empty, self._resume),
            "rate": (bodies.Rating, self._rate),
            "undo": (bodies.Undo, self._undo),
        }

    def rater(self, token: str) -> Rater:
        """The rater of a link. Found by the token's hash, so that the time it takes tells nothing about tokens."""
        rater = self.store.rater(token) if re.match(bodies.TOKEN, token) else None
        if rater is None:
            raise RefusalError(404, "unknown link")
        return rater

    def language(self, preferred: str) -> str:
        """`preferred` where the study has it, else the study's first language."""
        return preferred if preferred in self.config.languages else self.config.languages[0]

    def places(self) -> int:
        """How many more raters may join by themselves."""
        if self.config.open is None or self.store.require_study().state == "closed":
            return 0
        return max(0, self.config.open - self.store.joined())

    def join(self) -> str | None:
        """The token of a new rater of an open study; None where there is no place."""
        return self.store.join_open(self.config.open) if self.places() else None

    def act(self, token: str, action: str, body: bytes, agent: str) -> dict[str, Any]:
        """Does what a page asks and gives the state after it. agent: the browser's name for itself.

        Raises RefusalError, with everything left as it was.
        """
        rater = self.rater(token)
        if action not in self._actions:
            raise RefusalError(404, "unknown action", rater)
        model, do = self._actions[action]
        if rater.closed:
            raise RefusalError(410, "the study is closed", rater)
        try:
            values = model.model_validate_json(body)
        except ValidationError as error:
            raise RefusalError(422, f"malformed: {error.errors()[0]['type']}", rater) from error
        if rater.paused:
            raise RefusalError(409, "the study is paused", rater)
        do(rater, values, agent[:AGENT_LENGTH])
        if action != "rate":  # what a rating has changed, `state` reads with the next trial
            rater = self.rater(token)
        return self.state(rater, undone=action == "undo")

    def picture(self, token: str, trial_token: str) -> bytes:
        """The PNG of a trial that the rater has reached, or of the next one, which the page loads ahead."""
        rater = self.rater(token)
        trial = self.store.trial_by_token(rater.id, trial_token) if re.match(bodies.TOKEN, trial_token) else None
        if trial is None or trial.position > rater.done + 1:
            raise RefusalError(404, "no such picture", rater)
        return self._read(rater, trial.sha256)

    def example(self, token: str, number: int) -> bytes:
        """The PNG of a labelled example."""
        rater = self.rater(token)
        if not rater.consented or not 0 <= number < len(self._examples):
            raise RefusalError(404, "no such example", rater)
        return self._read(rater, self._examples[number][0])

    def _read(self, rater: Rater, sha256: str) -> bytes:
        if rater.closed:
            raise RefusalError(410, "the study is closed", rater)
        return self.store.picture(sha256).read_bytes()

    def state(self, rater: Rater, *, examples: bool = False, undone: bool = False) -> dict[str, Any]:
        """What the page shows now, as JSON.

        examples: with the examples' scores, for a page that has just been opened.
        undone: the last rating has just been taken back; no second one may be.
        """
        stage, details = self._stage(rater)
        done = rater.done
        if stage == "trial":
            trials = self.store.window(rater.id, 2)
            done = trials[0].done if trials else rater.total
            stage, details = self._trial(rater, trials, undone)
        left = rater.total - done
        return {
            "stage": stage,
            "progress": {"done": done, "total": rater.total, "seconds_left": left * SECONDS_PER_TRIAL},
            "largest": self._largest,
            **({"examples": self._scores()} if examples or stage == "instructions" else {}),
            **details,
        }

    def _scores(self) -> list[int]:
        return [score for _, score in self._examples]

    def _stage(self, rater: Rater) -> tuple[str, dict[str, Any]]:
        if rater.finished:
            return "done", {"code": rater.completion_code}
        if rater.closed:
            return "closed", {}
        if rater.paused:
            return "paused", {}
        if not rater.consented:
            languages = {language: load_texts()[language]["language"] for language in self.config.languages}
            return "consent", {"languages": languages, "consent": self.config.consent}
        if rater.client is None:
            return "check", {}
        if not rater.answered and (self.config.questions or self._sight()):
            questions = [_question(question, rater.language) for question in self.config.questions]
            return "questions", {"questions": questions, "sight": self._sight()}
        if not rater.calibrated:
            return "instructions", {
                "instructions": self.config.instructions,
                "practice": self.config.calibration.practice,
            }
        return "trial", {}

    def _trial(self, rater: Rater, trials: Sequence[Trial], undone: bool) -> tuple[str, dict[str, Any]]:
        if not trials:
            return "done", {"code": self.store.finish(rater.id)}
        trial = trials[0]
        if trial.done > 0 and not trial.shown:  # the first of a session waits for its rater to go on
            return "break", {"break": {"session": trial.session, "minutes": self.config.sessions.break_minutes}}
        return "trial", {
            "trial": {
                "trial": trial.token,
                "next": trials[1].token if trials[1:] else None,
                "practice": trial.phase == "calibration",
                "undo": self.config.undo and trial.done > 0 and not undone,
            }
        }

    def _sight(self) -> list[str]:
        return [kind for kind in ("acuity", "colour") if getattr(self.config.checks, kind)]

    def _consent(self, rater: Rater, body: bodies.Consent, agent: str) -> None:
        if body.language not in self.config.languages:
            raise RefusalError(422, "unknown language", rater)
        if not rater.consented:
            self.store.record_consent(rater.id, body.language)

    def _check(self, rater: Rater, body: bodies.Facts, agent: str) -> None:
        if not rater.consented:
            raise RefusalError(409, "not agreed yet", rater)
        self.store.record_client(rater.id, _facts(body, agent))

    def _answer(self, rater: Rater, body: bodies.Answers, agent: str) -> None:
        if rater.client is None:
            raise RefusalError(409, "screen not checked yet", rater)
        answers = self._checked(rater, body.root)
        if not rater.answered:
            self.store.record_answers(rater.id, answers)

    def _checked(self, rater: Rater, sent: dict[str, JsonValue]) -> dict[str, Any]:
        """The answers as they are kept: an option in the words of the study's first language."""
        questions = {question.id: question for question in self.config.questions}
        sight = {f"sight_{kind}" for kind in self._sight()}
        if set(sent) - set(questions) - sight:
            raise RefusalError(422, "an answer to no question", rater)
        answers: dict[str, Any] = {}
        for key, value in sent.items():
            if not (_is_answer(questions[key], value) if key in questions else _is_sight_score(value)):
                raise RefusalError(422, "an impossible answer", rater)
            choice = key in questions and questions[key].kind == "choice"
            answers[key] = questions[key].options[self.config.languages[0]][value] if choice else value
        if any(question.required and key not in answers for key, question in questions.items()):
            raise RefusalError(422, "a missing answer", rater)
        return answers

    def _calibrate(self, rater: Rater, body: bodies.Empty, agent: str) -> None:
        if self._stage(rater)[0] in ("consent", "check", "questions"):
            raise RefusalError(409, "not there yet", rater)
        if not rater.calibrated:

            def plan(counts: dict[int, int]) -> list[PlannedTrial]:
                return plan_trials(self.config, self._stimuli, counts, rater.public_id)

            # Only a share depends on what the others have; else the plan is made without making them wait.
            self.store.assign_trials(rater.id, plan if self.config.sampling else plan({}))
            self.store.record_calibrated(rater.id)
            self._show_current(rater)

    def _resume(self, rater: Rater, body: bodies.Empty, agent: str) -> None:
        self.store.log("resume", rater.id)
        self._show_current(rater)

    def _show_current(self, rater: Rater) -> None:
        if trial := self.store.current_trial(rater.id):
            self.store.mark_shown(rater.id, trial.token)

    def _rate(self, rater: Rater, body: bodies.Rating, agent: str) -> None:
        facts = _facts(body.client, agent) if body.client else {"user_agent": agent}
        result = self.store.rate(rater.id, body.trial, body.score, body.visible_ms, body.hidden_ms, facts)
        if result is RateResult.UNKNOWN:
            raise RefusalError(404, "no such trial", rater)
        if result is RateResult.REPEATED:
            raise RefusalError(409, "rated already", rater)
        if result is RateResult.NOT_CURRENT:
            raise RefusalError(409, "not to be rated yet", rater)

    def _undo(self, rater: Rater, body: bodies.Undo, agent: str) -> None:
        current = self.store.current_trial(rater.id)
        stale = body.trial is not None and (current is None or body.trial != current.token)
        if not self.config.undo or stale or self.store.undo(rater.id) is None:
            raise RefusalError(409, "nothing to undo", rater)


def _question(question: QuestionConfig, language: str) -> dict[str, Any]:
    return {
        "key": question.id,
        "kind": question.kind,
        "text": question.text[language],
        "choices": question.options.get(language, ()),
        "required": question.required,
        "minimum": question.minimum,
        "maximum": question.maximum,
    }


def _is_answer(question: QuestionConfig, value: JsonValue) -> bool:
    if question.kind == "text":
        return isinstance(value, str) and len(value) <= MAX_ANSWER and all(c.isprintable() or c == "\n" for c in value)
    low, high = question.minimum, question.maximum
    if question.kind == "choice":
        low, high = 0, len(next(iter(question.options.values()))) - 1
    return type(value) is int and low <= value <= high


def _is_sight_score(value: JsonValue) -> bool:
    return isinstance(value, str) and SIGHT_SCORE.fullmatch(value) is not None


def _facts(body: BaseModel, agent: str) -> dict[str, Any]:
    return {**body.model_dump(), "user_agent": agent}
