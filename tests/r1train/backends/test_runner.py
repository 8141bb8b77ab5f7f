"""The runner with real processes: metrics as they come, failures as sentences, and no orphans."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from r1train.backends import Launch, get_backend
from r1train.backends.runner import TrainerError, run

METRICS = """
import os, sys, time
with open(sys.argv[1], "a", buffering=1) as file:
    for step in range(1, 6):
        file.write('{"step": %d, ' % step)
        file.flush()
        time.sleep(0.05)
        file.write('"loss": 1.0}\\n')
"""


def launch(script: str, folder: Path, **env: str) -> list[Any]:
    seen: list[Any] = []
    argv = [sys.executable, "-c", script, str(folder / "metrics.jsonl")]
    run([Launch(argv, env)], folder, resume=False, on_metrics=seen.append)
    return seen


def test_every_line_of_metrics_once_and_whole(tmp_path: Path) -> None:
    assert [line["step"] for line in launch(METRICS, tmp_path)] == [1, 2, 3, 4, 5]


def test_a_file_that_was_rewound_is_followed_from_its_beginning(tmp_path: Path) -> None:
    before = "".join(f'{{"step": {step}, "loss": 0.123456789}}\n' for step in range(1, 9))
    (tmp_path / "metrics.jsonl").write_text(before)
    rewound = f"import sys, time; time.sleep(0.6); open(sys.argv[1], 'w').close(); time.sleep(0.6)\n{METRICS}"
    steps = [line["step"] for line in launch(rewound, tmp_path)]
    assert steps[-5:] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("print('begin'); raise RuntimeError('CUDA out of memory')", "lower optim.micro_batch"),
        ("raise OSError(28, 'No space left on device')", "free some disk space"),
        ("import sys; sys.exit('ValueError: bad thing')", "ValueError: bad thing"),
        ("import os; os.kill(os.getpid(), 9)", "it was killed, most likely for memory"),
        ("import sys; sys.exit(7)", "status 7"),
    ],
)
def test_a_failure_is_one_sentence_with_the_log(tmp_path: Path, script: str, told: str) -> None:
    with pytest.raises(TrainerError) as failed:
        launch(script, tmp_path)
    said = str(failed.value)
    assert told in said and str(tmp_path / "trainer.log") in said and "\n" not in said


def test_a_users_mistake_is_told_as_the_trainer_told_it(tmp_path: Path) -> None:
    script = "import sys; sys.stderr.write('noise\\nerror: no model at /x; give another\\n'); sys.exit(2)"
    with pytest.raises(TrainerError) as failed:
        launch(script, tmp_path)
    assert str(failed.value) == "no model at /x; give another"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_trainer_and_waits_for_it(tmp_path: Path, number: int) -> None:
    script = f"""
import os, signal, sys, time
def stop(*_):
    open(sys.argv[1] + ".stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
os.kill(os.getppid(), {int(number)})
time.sleep(600)
"""
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(KeyboardInterrupt):
        launch(script, tmp_path)
    assert (tmp_path / "metrics.jsonl.stopped").exists()
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_the_trainer_dies_with_the_runner(tmp_path: Path) -> None:
    child = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()) + '.'); time.sleep(600)"
    parent = f"""
import sys
from pathlib import Path
from r1train.backends import Launch
from r1train.backends.runner import run
launch = Launch([sys.executable, "-c", {"import os, time; " + child!r}])
run([launch], Path({str(tmp_path)!r}), resume=False, on_metrics=print)
"""
    process = subprocess.Popen([sys.executable, "-c", parent])
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith(".")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    pid = (tmp_path / "pid").read_text()[:-1]
    for _ in range(300):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError("the trainer outlived the runner")


def test_the_environment_of_a_launch_is_added(tmp_path: Path) -> None:
    script = (
        "import os, sys; assert os.environ['PATH']; "
        "open(sys.argv[1], 'w').write('{\"step\": %s}\\n' % os.environ['NUMBER'])"
    )
    assert launch(script, tmp_path, NUMBER="7") == [{"step": 7}]


def test_the_shipped_backend_is_found_and_refuses_keys_it_does_not_know(tmp_path: Path) -> None:
    from r1train.job import Job, JobSegment

    job = Job(
        stage="s",
        kind="rl",
        model="m",
        output=str(tmp_path),
        seed=1,
        template="think-answer",
        save_steps=1,
        optim={"beta": 0.001},
        rollout={"questions": 2, "group": 2, "minibatches": 1},
        segments=(JobSegment(3, "p", "r", 5, True), JobSegment(4, "p", "r", 5, False)),
        native={"arguments": {}},
    )
    assert job.steps == 7
    job.write(tmp_path / "job.json")
    assert Job.read(tmp_path / "job.json") == job
    backend = get_backend("trl")
    [problem] = backend.check(job)
    assert "no key 'arguments'" in problem
    [again] = backend.launch(job, tmp_path / "job.json", resume=True)
    [fresh] = backend.launch(job, tmp_path / "job.json", resume=False)
    assert again.argv == [*fresh.argv, "--resume"]
