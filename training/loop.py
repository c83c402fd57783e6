"""The pipeline: feedback → datasets → SFT → DPO → KTO → exam → gate → promotion.

The one file that sees every stage. Each leaves its result in the database, so a cycle that was cut off
anywhere goes on at the first stage that is not done. The service notices the promotion by itself.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from evals.run import examine
from feedback import (
    adapters,
    cycles,
    datasets,
    exports,
    freezing,
    holds,
    redactions,
    reliability,
    signal,
    suspicion,
    tickets,
)
from feedback.database import database, reading, writing
from feedback.errors import Invalid, UnderstudyError
from feedback.freezing import Frozen
from feedback.holding_out import hold_out
from feedback.redact_ahead import redact_ahead
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Cycle,
    CycleState,
    DatasetKind,
    StageState,
)
from service.engine.embedded_model import base_model
from service.hot_swap import asking_engines
from service.probe import ProbeFailed
from service.settings import service_settings
from training import fits, promoting, starting
from training.in_force import overridden, settings_of
from training.job import ADAPTER, MODULES, PROGRESS, RESULT, job_for, read_json, write_job
from training.lease import Lease, LeaseLost, StopRequested
from training.naming import name_topics
from training.progress import Curves, Progress
from training.settings import StageName, TrainingSettings
from training.supervise import TrainingStopped, last_lines, supervise

log = logging.getLogger(__name__)

SCHEDULE = "schedule"
REPORT_SECONDS = 0.5
"""Progress is written at most this often."""
LOG_SECONDS = 3.0
"""The loss curve and the end of the log are written at most this often."""
LOG_LINES = 40

Result = dict[str, Any]
Report = Callable[..., None]


class Turn:
    """One cycle in this process's hands."""

    def __init__(self, cycle: Cycle, lease: Lease, settings: TrainingSettings) -> None:
        self._cycle = cycle
        self._lease = lease
        self._common = settings
        self._folder = feedback_settings().runs_dir.resolve() / cycle.id
        with reading() as session:
            self._assistant = session.get_one(Assistant, cycle.assistant_id)
        self._settings = settings_of(self._assistant, settings)

    def run(self) -> tuple[CycleState, str]:
        """The whole turn: how it ended, and why in a sentence."""
        fits.check(self._settings, service_settings())
        if self._assistant.topics and self._settings.topics_most:
            self._stage("topics", self._topics)
        self._stage("hold_out", self._hold_out)
        self._stage("redact", self._redact)
        frozen = self._stage("freeze", self._freeze)
        if frozen["too_few"]:
            return CycleState.NOT_ENOUGH, frozen["too_few"]
        self._settings = overridden(self._common, frozen.get("recipe", {}))  # as it was then
        start = starting.folder_of(frozen.get("start"))
        for stage in frozen["stages"]:
            self._stage(stage, partial(self._train, stage, frozen, start))
            start = self._folder / stage / ADAPTER
        adapter = self._stage("publish", lambda _: self._publish(frozen))["adapter"]
        exam = self._stage("exam", lambda report: self._exam(adapter, report))
        if not exam["promote"]:
            return CycleState.REFUSED, " ".join(exam["reasons"])
        sealed = self._stage("sealed_exam", lambda report: self._sealed_exam(adapter, report))
        if not sealed["promote"]:
            return CycleState.REFUSED, " ".join(sealed["reasons"])
        if not promoting.is_on(self._assistant):
            return CycleState.AWAITING, f"{adapter} passed; an operator may promote it."
        promoted = self._stage(
            "promote",
            lambda _: promoting.promote(self._assistant, self._lease, adapter, exam["decision"]),
        )
        if promoted.get("left_to_people"):
            return CycleState.AWAITING, promoted["reason"]
        state = CycleState.PROMOTED if promoted["promoted"] else CycleState.REFUSED
        return state, promoted["reason"]

    def _stage(self, name: str, work: Callable[[Report], Result]) -> Result:
        """A stage's result: from the database when it is done already, else by doing it."""
        self._lease.check()
        with writing() as session:
            stage = cycles.begin_stage(session, self._cycle, name)
        if stage.state == StageState.DONE:
            return stage.result
        log.info("cycle=%s stage=%s attempt=%d", self._cycle.id, name, stage.attempts)

        started = time.monotonic()
        reported = 0.0
        held: dict[str, Any] = {}  # what came in too quickly is written with the next

        def report(**progress: Any) -> None:
            nonlocal reported
            self._lease.check()
            held.update(progress)
            if "state" in progress or time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                with writing() as session:
                    cycles.report(session, stage.id, **held)
                held.clear()

        try:
            result = work(report)
        except (StopRequested, TrainingStopped, LeaseLost):
            raise
        except Exception as error:
            with writing() as session:
                failed = {**held, "state": StageState.FAILED, "error": str(error)}
                cycles.report(session, stage.id, **failed)
            raise
        result["seconds"] = round(time.monotonic() - started, 1)
        report(state=StageState.DONE, result=result)
        return result

    def _topics(self, report: Report) -> Result:
        async def work() -> tuple[int, str]:
            async with asking_engines(database(), service_settings()) as swaps:
                return await name_topics(
                    swaps,
                    database(),
                    self._assistant,
                    self._settings.topics_most,
                    lambda done, total: report(done=done, total=total),
                )

        named, left = asyncio.run(work())
        return {"named": named, "left": left}

    def _hold_out(self, report: Report) -> Result:
        with reading() as session:
            found = suspicion.look(session, self._assistant)
        with writing() as session:
            held = [hold.author for hold in holds.place(session, self._assistant, found)]
        made = hold_out(None, self._assistant, lambda done, total: report(done=done, total=total))
        return {"held": held, "tickets": len(made), "sealed": sum(ticket.sealed for ticket in made)}

    def _redact(self, report: Report) -> Result:
        with reading() as session:
            total = redactions.count_needed(session, self._assistant)
        done = new = 0
        for texts, fresh in redact_ahead(self._assistant):
            done, new = done + texts, new + fresh
            report(done=done, total=total)
        return {"texts": done, "new": new}

    def _freeze(self, report: Report) -> Result:
        frozen = freezing.freeze_in_steps(
            None,
            self._assistant,
            progress=lambda done, total: report(done=done, total=total),
        )
        sft, dpo, kto = frozen
        stages = self._stages(frozen)
        scheduled = self._cycle.requested_by == SCHEDULE  # a person knows why they ask
        least_new = self._settings.min_new_rows if scheduled else 0
        least = self._settings.min_corrections
        with reading() as session:
            too_few = signal.missing(session, self._assistant, sft, least, least_new)
            for dataset in frozen:
                exports.export(session, dataset, self._dataset_file(dataset.name))
        return {
            "sft": sft.name,
            "dpo": dpo.name,
            "kto": kto.name,
            "sft_rows": sft.train_rows,
            "dpo_rows": dpo.train_rows,
            "kto_rows": kto.train_rows,
            "stages": stages,
            "recipe": self._assistant.recipe,
            "start": starting.name_of_start(self._assistant, self._settings),
            "too_few": too_few or ("" if stages else self._no_rows()),
        }

    def _stages(self, frozen: Frozen) -> list[StageName]:
        """The stages of the settings that have rows, in their order."""
        rows = {"sft": frozen.sft, "dpo": frozen.dpo, "kto": frozen.kto}
        return [stage for stage in self._settings.stages if rows[stage].train_rows]

    def _no_rows(self) -> str:
        wanted = ", ".join(self._settings.stages)
        return f"There are no rows for the stages that are set (TRAINING_STAGES: {wanted})."

    def _dataset_file(self, name: str) -> Path:
        return feedback_settings().datasets_dir.resolve() / f"{name}.jsonl"

    def _train(
        self, stage: StageName, frozen: Result, start: Path | None, report: Report
    ) -> Result:
        folder = self._folder / stage
        dataset = frozen[stage]
        job = job_for(
            stage,
            self._settings,
            base_model=base_model(self._assistant.base_model, feedback_settings().models_dir),
            dataset=self._dataset_file(dataset),
            start_adapter=start,
            is_last=stage == frozen["stages"][-1],
            estimated_noise=self._label_noise() if stage == "dpo" else None,
        )
        write_job(folder, job)

        curves = Curves(folder / PROGRESS)
        told = 0.0

        def progress(news: Progress) -> None:
            nonlocal told
            more: dict[str, Any] = {}
            if time.monotonic() - told > LOG_SECONDS:
                told = time.monotonic()
                more = {**_drawn(curves), "log_tail": last_lines(folder, LOG_LINES)}
            report(
                done=news.step,
                total=news.total or 0,
                loss=news.loss,
                eta_seconds=news.eta_seconds,
                figures=news.figures,
                **more,
            )

        supervise(
            folder,
            MODULES[stage],
            report=progress,
            should_stop=lambda: self._lease.wants_out,
            timeout_seconds=self._settings.stage_timeout_seconds,
            attempts=self._settings.attempts,
            grace_seconds=self._settings.stop_grace_seconds,
            silence_seconds=self._settings.silence_seconds,
        )
        report(**_drawn(curves), log_tail=last_lines(folder, LOG_LINES))
        return {"rows": dataset, **_summary(folder)}

    def _label_noise(self) -> float | None:
        """What share of preference pairs likely prefers the wrong side; None: too little to tell."""
        with reading() as session:
            return reliability.noise_of(session, self._assistant).epsilon

    def _publish(self, frozen: Result) -> Result:
        stages: list[StageName] = frozen["stages"]
        results = {stage: read_json(self._folder / stage / RESULT) or {} for stage in stages}
        start = frozen.get("start")
        with writing() as session:
            learned = [
                datasets.get(session, frozen[DatasetKind(stage)], self._assistant)
                for stage in stages
            ]
            adapter = adapters.publish(
                session,
                self._assistant,
                self._folder / stages[-1] / ADAPTER,
                learned,
                config={
                    stage: read_json(self._folder / stage / "job.json") or {} for stage in stages
                },
                versions=results[stages[-1]].get("versions", {}),
                cycle_id=self._cycle.id,
                goes_on_from=adapters.get(session, start) if start else None,
            )
            return {"adapter": adapter.name, "digest": adapter.digest}

    def _sealed_exam(self, adapter_name: str, report: Report) -> Result:
        """The seal is broken for a candidate that may go live, and for no other."""
        with reading() as session:
            sealed = tickets.sealed_asked(session, self._assistant)
        if not tickets.can_confirm(sealed):
            why = (
                f"{len(sealed)} tickets are sealed, too few to ask: {tickets.SEALED_LEAST} from more than "
                "one customer are needed."
            )
            return {"promote": True, "reasons": [why]}
        return self._exam(adapter_name, report, sealed=True)

    def _exam(self, adapter_name: str, report: Report, sealed: bool = False) -> Result:
        def progress(done: int, total: int, eta_seconds: float | None) -> None:
            report(done=done, total=total, eta_seconds=eta_seconds)

        with reading() as session:
            candidate = adapters.get(session, adapter_name)
            live = adapters.live_adapter(session, self._assistant)
        try:
            decision = asyncio.run(self._examine(candidate, live, progress, sealed))
        except (Invalid, ProbeFailed) as refused:  # the engine may not hold it: nothing to examine
            return {"promote": False, "reasons": [str(refused)]}
        return {
            "decision": decision.id,
            "promote": decision.promote,
            "reasons": decision.reasons,
            "gain": decision.gain,
            "gain_low": decision.gain_low,
            "gain_high": decision.gain_high,
        }

    async def _examine(
        self,
        candidate: Adapter,
        live: Adapter | None,
        progress: Callable[[int, int, float | None], None],
        sealed: bool,
    ) -> Any:
        async with asking_engines(database(), service_settings()) as swaps:
            decision = await examine(
                swaps,
                database(),
                self._assistant,
                candidate,
                live,
                cycle_id=self._cycle.id,
                progress=progress,
                sealed=sealed,
            )
            if not decision.promote:
                await swaps.drop(candidate)
            return decision


def _drawn(curves: Curves) -> Result:
    """The loss, and what else is drawn beside it."""
    found = curves.read()
    return {"curve": found.pop("loss", []), "more_curves": found}


def _summary(folder: Path) -> Result:
    result = read_json(folder / RESULT) or {}
    return {name: value for name, value in result.items() if isinstance(value, int | float | str)}


def take_turn(
    cycle: Cycle, owner: str, settings: TrainingSettings, leaving: threading.Event
) -> None:
    """Work on a claimed cycle until it ends, is stopped, or this process has to leave."""
    with Lease(cycle.id, owner, settings.lease_seconds, leaving) as lease:
        try:
            state, reason = Turn(cycle, lease, settings).run()
        except (StopRequested, TrainingStopped) as stopped:
            if lease.is_leaving:
                with writing() as session:
                    cycles.release(session, cycle, owner)
                return
            state, reason = CycleState.STOPPED, str(stopped)
        except LeaseLost as lost:
            log.warning("%s", lost)
            return
        except Exception as error:
            log.exception("cycle=%s failed", cycle.id)
            state, reason = CycleState.FAILED, _sentence(error)
        with writing() as session:
            cycles.finish(session, cycle, state, reason)
    log.info("cycle=%s %s: %s", cycle.id, state, reason)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, UnderstudyError) else f"{type(error).__name__}: {error}"
