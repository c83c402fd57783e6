"""The study of a search in Optuna's own journal: opened again after a kill, trials in the middle and all.

Optuna's ask and tell; it never calls us. The lock of the folder (search_files.py) is held meanwhile.
"""

import os
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from training import search_space
from training.search_files import STUDY, Spec

RANDOM_TRIALS = 5
"""So many before the sampler, a tree of Parzen estimators, draws from what it has seen."""
JUDGED_FROM = 4
"""So many whole trials before one is given up for being worse than their median at the same tenth."""
GIVEN_UP_FROM = 2
"""Tenths of a trial's way before which none is given up."""

optuna.logging.set_verbosity(optuna.logging.WARNING)


def opened(folder: Path, spec: Spec) -> optuna.Study:
    """The study, a new one with the present recipe as its first trial."""
    path = folder / STUDY
    path.with_name(f"{STUDY}.lock").unlink(missing_ok=True)  # of a process that was killed
    _without_half_a_line(path)
    study = optuna.create_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(path))),
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(JUDGED_FROM, GIVEN_UP_FROM),
    )
    # Drawn anew by how far it is: a search that goes on must not repeat its first draws.
    seed = int(spec.settings["seed"]) + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(search_space.of_present(spec))
    return study


def _without_half_a_line(path: Path) -> None:
    """Cut off in place: a kill in this very moment must not cost the trials before it."""
    if not path.exists():
        return
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)


def taken_up(study: optuna.Study) -> optuna.Trial | None:
    """The trial that a search was in the middle of when it ended."""
    left = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return optuna.Trial(study, left[0]._trial_id) if left else None


def frozen(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
    """What is known of a trial."""
    return study.get_trials(deepcopy=False)[number]


def ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that came to an end, good or bad, in order."""
    return [each for each in study.get_trials(deepcopy=False) if each.state.is_finished()]


def whole(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were trained to their end and measured."""
    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def best(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    """The one with the lowest loss; of equals the first, so that what is in force stays.

    Only among those that were measured on the same answers as the newest: of fewer, once one was erased, a
    loss says something else.
    """
    measured = whole(study)
    answers = len(measured[-1].user_attrs["answer_nats"]) if measured else 0
    same = [each for each in measured if len(each.user_attrs["answer_nats"]) == answers]
    return min(same, key=_loss, default=None)


def _loss(trial: optuna.trial.FrozenTrial) -> Any:
    return trial.value
