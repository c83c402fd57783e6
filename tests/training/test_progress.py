"""The curves and the log as the console shows them."""

import itertools
from pathlib import Path

from training.job import LOG
from training.progress import Curves, ProgressWriter, thinned
from training.supervise import last_lines


def test_curves_survive_a_restart_from_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    curves = Curves(path)
    assert curves.read() == {}
    with ProgressWriter(path) as progress:
        for step in (1, 2, 3):
            progress.write("training", step=step, loss=float(step))
        progress.write("loading")
        progress.write("training", step=3, loss=0.5, **{"rewards/margins": 0.25})
        progress.write("training", step=3, eval_loss=0.75)
    found = {
        "loss": [[1, 1.0], [2, 2.0], [3, 0.5]],
        "margins": [[3, 0.25]],
        "validation": [[3, 0.75]],
    }
    assert curves.read() == found
    assert Curves(path).read() == found


def test_a_long_curve_is_thinned_evenly_and_keeps_its_ends() -> None:
    points = [[float(step), 1.0] for step in range(5000)]
    shown = thinned(points)
    assert len(shown) == 400
    assert (shown[0], shown[-1]) == (points[0], points[-1])
    gaps = {after[0] - before[0] for before, after in itertools.pairwise(shown)}
    assert gaps <= {12.0, 13.0}


def test_the_end_of_a_log_holds_no_nul_and_is_short(tmp_path: Path) -> None:
    assert last_lines(tmp_path) == ""
    (tmp_path / LOG).write_bytes(b"x" * 100_000 + b"\n" + b"a\x00b\n" * 60)
    tail = last_lines(tmp_path, 40)
    assert tail.splitlines() == ["a\ufffdb"] * 40
