"""The search: one trial after the other until the time or the number of trials is used up.

The first is what is in force, so that whatever wins is no worse on the validation rows. A trial that the end
of time cut off stays begun; with more time it is gone on with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from feedback.errors import UnderstudyError
from training import search_report, search_space, search_study, search_trial
from training.progress import Progress
from training.search_files import TRIALS, Clock, Spec, held
from training.settings import StageName
from training.supervise import TrainingFailed, TrainingStopped

FAILED_IN_A_ROW = 3
"""So many failed trials in a row are no matter of recipes."""


@dataclass(frozen=True)
class News:
    """How far a search is. Losses are in nats per token of the validation answers."""

    spent_seconds: float
    number: int
    ended: int
    best: float | None
    best_number: int | None
    present: float | None
    stage: StageName | None = None
    progress: Progress | None = None


Tell = Callable[[News], None]


class Search:
    """A search in this process's hands."""

    def __init__(self, folder: Path, spec: Spec, seconds: float, trials: int | None) -> None:
        self._folder = folder
        self._spec = spec
        self._seconds = seconds
        self._trials = trials
        self._failed = 0

    def run(self, tell: Tell) -> dict[str, Any]:
        """Search until there is no more time or trial left; the report."""
        with held(self._folder):
            self._clock = Clock(self._folder)
            self._study = search_study.opened(self._folder, self._spec)
            self._tidy()
            try:
                while (trial := self._next()) is not None:
                    self._try(trial, tell)
                    self._report(finished=False)
            except TrainingStopped:
                pass  # the time is up; the trial stays begun
            finally:
                self._clock.write()
            return self._report(finished=True)

    def _tidy(self) -> None:
        """A kill between a trial's end and the end of its weights left them."""
        for trial in search_study.ended(self._study):
            search_trial.drop_weights(self._trial_folder(trial.number))

    def _trial_folder(self, number: int) -> Path:
        return self._folder / TRIALS / f"{number:04d}"

    def _next(self) -> optuna.Trial | None:
        """The trial to go on with, or a new one; None where nothing more is to be begun."""
        if self._left <= 0:
            return None
        if begun := search_study.taken_up(self._study):
            return begun
        done = search_study.ended(self._study)
        if done and done[0].state != TrialState.COMPLETE:
            raise UnderstudyError(
                "With the recipe in force training failed, so there is nothing to compare with. Once that is "
                f"mended, begin anew with another --out. {done[0].user_attrs['why']}"
            )
        if self._trials is not None and len(done) >= self._trials:
            return None
        quickest = min(
            (each.user_attrs["seconds"] for each in search_study.whole(self._study)), default=0.0
        )
        return self._study.ask() if self._left >= quickest else None

    @property
    def _left(self) -> float:
        return self._seconds - self._clock.spent

    def _try(self, trial: optuna.Trial, tell: Tell) -> None:
        recipe = search_space.suggested(trial, self._spec)
        trial.set_user_attr("recipe", recipe)
        begun = trial.user_attrs.get("begun", self._clock.spent)
        trial.set_user_attr("begun", begun)
        folder = self._trial_folder(trial.number)
        news = self._news(trial.number)

        def watched(stage: StageName, progress: Progress) -> None:
            self._clock.tick()
            tell(replace(news, spent_seconds=self._clock.spent, stage=stage, progress=progress))

        loss, said = None, ""
        try:
            result = search_trial.learn(
                trial, recipe, self._spec, folder, watched, lambda: self._left <= 0
            )
            loss, state = search_trial.loss_of(result), TrialState.COMPLETE
            trial.set_user_attr("answer_nats", result["answer_nats"])
            trial.set_user_attr("answer_tokens", result["answer_tokens"])
            trial.set_user_attr("pairs_preferred", result.get("pairs_preferred"))
        except optuna.TrialPruned:
            state = TrialState.PRUNED
            trial.set_user_attr("why", "given up: worse than half of the others so far")
        except TrainingFailed as failed:
            # To the sampler a run that diverged is a bad place, one that broke is no news of the place.
            state = TrialState.PRUNED if "diverged" in str(failed) else TrialState.FAIL
            trial.set_user_attr("why", str(failed).splitlines()[0])
            said = str(failed)
        trial.set_user_attr("seconds", round(self._clock.spent - begun, 1))
        self._study.tell(trial, loss, state)
        search_trial.drop_weights(folder)
        self._failed = self._failed + 1 if state == TrialState.FAIL else 0
        if self._failed == FAILED_IN_A_ROW:
            raise UnderstudyError(f"{self._failed} trials in a row failed. {said}")

    def _news(self, number: int) -> News:
        best = search_study.best(self._study)
        whole = search_study.whole(self._study)
        present = whole[0].value if whole and whole[0].number == 0 else None
        return News(
            spent_seconds=self._clock.spent,
            number=number,
            ended=len(search_study.ended(self._study)),
            best=best.value if best else None,
            best_number=best.number if best else None,
            present=present,
        )

    def _report(self, finished: bool) -> dict[str, Any]:
        return search_report.write(
            self._folder, self._spec, self._study, self._clock.spent, self._seconds, finished
        )
