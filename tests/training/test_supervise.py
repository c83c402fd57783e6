"""The supervisor against a trainer that plays dead, deaf and broken. No torch."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training import out_of_memory
from training.job import LOG, Job, job_for, micro_batch, note, write_job
from training.progress import Progress
from training.settings import TrainingSettings
from training.supervise import TrainingFailed, TrainingStopped, supervise


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[Progress] = []

    def play(
        self,
        *acts: str,
        report: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
        **limits: Any,
    ) -> dict[str, Any]:
        (self.folder / "script.json").write_text(json.dumps(acts))
        return supervise(
            self.folder,
            "tests.training.fake_trainer",
            report=report or self.seen.append,
            should_stop=stop,
            **{"timeout_seconds": 60, "attempts": 3, "poll_seconds": 0.02, **limits},
        )

    def training(self) -> bool:
        return any(news.phase == "training" for news in self.seen)

    def is_dead(self) -> bool:
        return not Path(f"/proc/{self.seen[-1].pid}").exists()  # a zombie would still be there


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_result_comes_back_and_progress_is_reported(scene: Scene) -> None:
    assert scene.play("finish") == {"loss": 0.25}
    first, last = scene.seen[0], scene.seen[-1]
    assert (first.phase, first.step) == ("starting", 0)
    assert (last.phase, last.step, last.total, last.loss) == ("training", 1, 9, 0.5)
    assert last.log_path == scene.folder / LOG
    assert "attempt 1: finish" in last.log_path.read_text()


def test_a_finished_folder_starts_nothing(scene: Scene) -> None:
    scene.play("finish")
    assert scene.play("finish", "crash") == {"loss": 0.25}
    assert (scene.folder / "attempts").read_text() == "1"


def test_a_killed_trainer_is_started_again(scene: Scene) -> None:
    assert scene.play("killed", "told to stop", "finish") == {"loss": 0.25}
    assert len({news.pid for news in scene.seen}) == 3
    assert scene.is_dead()


def test_it_is_not_started_for_ever(scene: Scene) -> None:
    with pytest.raises(TrainingFailed, match=r"(?s)killed by SIGKILL 2 times.*attempt 2: killed"):
        scene.play("killed", "killed", "finish", attempts=2)


def test_a_reason_is_not_tried_again(scene: Scene) -> None:
    with pytest.raises(TrainingFailed, match=r"^The learning rate is silly.\nattempt 1: fail$"):
        scene.play("fail", "finish")


def test_a_crash_without_a_reason_shows_the_log(scene: Scene) -> None:
    with pytest.raises(TrainingFailed, match=r"exit code 1.*\n.*\nno module named torch"):
        scene.play("crash", "finish")


@pytest.mark.parametrize("temper", ["obedient", "deaf"])
def test_stopping(scene: Scene, temper: str) -> None:
    with pytest.raises(TrainingStopped, match="stopped at step 1"):
        scene.play(temper, stop=scene.training, grace_seconds=0.5)
    assert scene.is_dead()


def test_running_out_of_time(scene: Scene) -> None:
    with pytest.raises(TrainingFailed, match="ran out of time"):
        scene.play("obedient", timeout_seconds=1.5)
    assert scene.is_dead()


def test_silence_is_a_death(scene: Scene) -> None:
    assert scene.play("hang", "finish", silence_seconds=5) == {"loss": 0.25}


def test_a_lost_lease_leaves_no_trainer_behind(scene: Scene) -> None:
    def lost(news: Progress) -> None:
        scene.seen.append(news)
        if news.phase == "training":
            raise RuntimeError("lease lost")

    with pytest.raises(RuntimeError, match="lease lost"):
        scene.play("deaf", report=lost)
    assert scene.is_dead()
    with pytest.raises(ChildProcessError):
        os.waitpid(scene.seen[-1].pid, os.WNOHANG)


@pytest.fixture
def job(scene: Scene) -> Job:
    recipe = TrainingSettings(batch_size=8)
    job = job_for("sft", recipe, base_model="m", dataset=scene.folder / "d.jsonl")
    write_job(scene.folder, job)
    return job


def test_too_little_memory_is_no_attempt(scene: Scene, job: Job) -> None:
    acts = ("no memory", "no memory", "no memory", "finish")
    assert scene.play(*acts, attempts=1) == {"loss": 0.25}
    assert micro_batch(scene.folder, job) == 1
    assert "1 rows at once" in note(scene.folder)


def test_a_trainer_that_the_kernel_killed_for_memory_takes_less(
    scene: Scene, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = iter([7, 8, 8, 8, 8])
    monkeypatch.setattr(out_of_memory, "kills", lambda: next(killed))
    assert scene.play("killed", "killed", "finish", attempts=2) == {"loss": 0.25}
    assert micro_batch(scene.folder, job) == 4, "only the first was for want of memory"


def test_the_kernels_count_of_kills_is_read_from_either_kind_of_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, first = tmp_path / "memory.events", tmp_path / "memory.oom_control"
    monkeypatch.setattr(out_of_memory, "COUNTERS", (second, first))
    assert out_of_memory.kills() == 0
    first.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert out_of_memory.kills() == 2
    second.write_text("low 0\noom 5\noom_kill 3\n")
    assert out_of_memory.kills() == 3
