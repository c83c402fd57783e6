"""vLLM's processes pass messages as before, and the one that waits sleeps."""

import threading
import time
from typing import Any

import pytest

from service.engine import cpu_waiting


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    from vllm.distributed.device_communicators import shm_broadcast

    monkeypatch.setattr(
        shm_broadcast.SpinCondition, "__init__", shm_broadcast.SpinCondition.__init__
    )
    cpu_waiting.install()
    cpu_waiting.install()  # again: fine
    writer = shm_broadcast.MessageQueue(n_reader=1, n_local_reader=1)
    reader = shm_broadcast.MessageQueue.create_from_handle(writer.export_handle(), 0)
    ready = threading.Thread(target=writer.wait_until_ready)
    ready.start()
    reader.wait_until_ready()
    ready.join()
    return writer, reader


def test_a_lost_notification_costs_no_seconds(
    queues: tuple[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer, reader = queues
    monkeypatch.setattr(writer._spin_condition, "notify", lambda: None)
    thread = threading.Timer(0.2, writer.enqueue, ["unannounced"])
    started = time.perf_counter()
    thread.start()
    assert reader.dequeue(timeout=30) == "unannounced"
    assert time.perf_counter() - started < 3
    thread.join()


def test_every_message_arrives_at_once_and_waiting_costs_nothing(queues: tuple[Any, Any]) -> None:
    writer, reader = queues

    def write() -> None:
        for n in range(20):
            time.sleep(0.02)
            writer.enqueue((n, time.perf_counter()))

    thread = threading.Thread(target=write)
    started, cpu_seconds = time.perf_counter(), time.process_time()
    thread.start()
    delays = []
    for n in range(20):
        got, sent_at = reader.dequeue(timeout=30)
        delays.append(time.perf_counter() - sent_at)
        assert got == n
    thread.join()
    used, passed = time.process_time() - cpu_seconds, time.perf_counter() - started
    assert sorted(delays)[10] < 0.1
    assert max(delays) < 4
    assert used < passed / 2  # spinning would take all of it
