"""Plays a trainer's part without torch, as `script.json` in its run folder says. Started by tests."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from training.job import ERROR, NO_MEMORY, PROGRESS, RESULT, STOPPED, take_less, write_json


def main() -> None:
    folder = Path(sys.argv[1])
    attempts = folder / "attempts"
    attempt = int(attempts.read_text()) + 1 if attempts.exists() else 1
    attempts.write_text(str(attempt))
    act = json.loads((folder / "script.json").read_text())[attempt - 1]
    if act == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif act == "obedient":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    with (folder / PROGRESS).open("a") as progress:
        line = {"phase": "training", "step": attempt, "total": 9, "loss": 0.5, "learning_rate": 1}
        progress.write(json.dumps(line) + "\n" + '{"phase": "trai')
    print(f"attempt {attempt}: {act}", flush=True)
    if act == "finish":
        write_json(folder / RESULT, {"loss": 0.25})
    elif act == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "told to stop":
        sys.exit(STOPPED)
    elif act == "fail":
        write_json(folder / ERROR, {"error": "The learning rate is silly."})
        sys.exit(1)
    elif act == "no memory":
        sys.exit(NO_MEMORY if take_less(folder, "Out of memory.") else 1)
    elif act == "crash":
        sys.exit("no module named torch")
    else:
        time.sleep(120)


if __name__ == "__main__":
    main()
