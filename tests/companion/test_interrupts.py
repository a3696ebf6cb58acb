"""Signals, closed outputs and other locales, with real processes: one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from companion.interrupts import INTERRUPTED, MESSAGE

ROOT = Path(__file__).parents[2]
NAPPING = """
---
kernelspec: {name: python3, display_name: Python 3}
---

# Ünïcode

```{code-cell} ipython3
import pathlib, subprocess, time
nap = subprocess.Popen(["sleep", "300"])
pathlib.Path("napping").write_text(str(nap.pid))
time.sleep(300)
```
""".lstrip()
#: The command, with one function made slow that writes the executed notebook.
SLOW_WRITER = """
import sys, time
from pathlib import Path
from companion import cli
from companion.runs import notebooks

def slow(source, target):
    Path("writing").touch()
    time.sleep(300)

notebooks._move = slow
sys.exit(cli.main())
"""
RUN = ("run", "mlp", "cifar10", "--quiet")


def heard() -> None:
    """Hear all signals: a shell in the background ignores one of them, nohup another."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Command:
    """A ``thermo`` command in a process group of its own, as a shell starts it."""

    def __init__(self, folder: Path, *words, code="import sys; from companion.cli import main; "
                 "sys.exit(main())", **environment):  # fmt: skip
        self.folder = folder
        (folder / "tmp").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=heard,
        )

    def wait_for(self, pattern: str) -> Path:
        """Until a file is there."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := next(iter(self.folder.glob(pattern)), None):
                return found
            time.sleep(0.02)
        self.process.kill()
        pytest.fail(f"no {pattern}: {self.process.communicate()}")

    def interrupted_by(self, number: int) -> None:
        """Signal the group, and find one line and nothing left."""
        started = psutil.Process(self.process.pid).children(recursive=True)
        os.killpg(self.process.pid, number)
        output, errors = self.process.communicate(timeout=30)
        assert (self.process.returncode, output) == (INTERRUPTED, b"")
        assert errors.decode() == f"{MESSAGE}\n"
        assert not [p for p in started if alive(p)]
        assert list((self.folder / "tmp").glob("tmp*")) == []  # PyTorch keeps a cache there


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.fixture
def napping(tmp_path):
    (tmp_path / "nap.md").write_text(NAPPING, encoding="utf-8")
    return tmp_path / "nap.md"


class TestSignals:
    @pytest.mark.slow
    def test_ctrl_c_on_a_terminal(self, tmp_path, napping):
        """With the bars a terminal gets, and a process that the notebook has started."""
        code = "import sys; from companion.cli import main; sys.exit(main())"
        child, terminal = pty.fork()
        if child == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(tmp_path)
            os.environ["PYTHONPATH"] = str(ROOT)
            os.execv(sys.executable, [sys.executable, "-c", code, "notebook", str(napping)])
        seen = b""
        deadline = time.monotonic() + 60
        marker = tmp_path / "napping"
        while not (marker.exists() and marker.read_text()):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)
        nap = psutil.Process(int(marker.read_text()))
        started = [*psutil.Process(child).children(recursive=True), nap]
        os.write(terminal, b"\x03")
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(terminal, 4096):
                seen += part
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == INTERRUPTED
        assert seen.decode().splitlines()[-1] == MESSAGE
        assert "Traceback" not in seen.decode()
        assert len(started) > 1
        assert not [p for p in started if alive(p)]

    def test_ignored_signal_stays_ignored(self, tmp_path):
        code = (
            "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
            "from companion.interrupts import end_on_signals\n"
            "end_on_signals(); os.kill(os.getpid(), signal.SIGHUP); print('on')\n"
            "os.kill(os.getpid(), signal.SIGTERM); print('never')"
        )
        command = Command(tmp_path, code=code, PYTHONUNBUFFERED="")  # what is held back is shown
        assert command.process.communicate() == (b"on\n", f"{MESSAGE}\n".encode())
        assert command.process.returncode == INTERRUPTED

    def test_the_line_stands_below_a_bar(self, tmp_path):
        code = (
            "import os, signal; from tqdm import tqdm\n"
            "from companion.interrupts import end_on_signals\n"
            "end_on_signals(); bar = tqdm(total=9); os.kill(os.getpid(), signal.SIGINT)"
        )
        command = Command(tmp_path, code=code)
        *shown, last = command.process.communicate()[1].decode().splitlines()
        assert (command.process.returncode, last) == (INTERRUPTED, MESSAGE)
        assert any("0/9" in line for line in shown)

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_training_without_a_kernel(self, tmp_path, number):
        """Lightning has handlers of its own for signals."""
        command = Command(tmp_path, "variants", "mlp", "cifar10")
        command.wait_for("results/.work/**/train-*")
        time.sleep(1.0)
        os.killpg(command.process.pid, number)
        output, errors = command.process.communicate(timeout=30)
        assert (command.process.returncode, output) == (INTERRUPTED, b"")
        assert errors.decode().splitlines()[-1] == MESSAGE
        assert b"Traceback" not in errors

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.parametrize("moment", ["import", "kernel", "training", "sweep"])
    def test_at_any_moment_of_a_run(self, tmp_path, number, moment):
        settings = {
            "training": ["-p", "epochs", "100000", "-p", "patience", "100000"],
            "sweep": ["-p", "epochs", "1", "-p", "tau_step", "0.0001", "-p", "tau_max", "9"],
        }
        command = Command(tmp_path, *RUN, *settings.get(moment, []))
        if moment == "import":
            time.sleep(1.0)
        else:
            command.wait_for({
                "kernel": "tmp/*/kernel.json",
                "training": "results/.work/**/train-*",
                "sweep": "results/.work/**/full-*",
            }[moment])  # fmt: skip
            time.sleep(0.0 if moment == "kernel" else 1.5)
        command.interrupted_by(number)

    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_while_the_notebook_is_written(self, tmp_path, number):
        command = Command(tmp_path, *RUN, "-p", "epochs", "1", code=SLOW_WRITER)
        command.wait_for("writing")
        command.interrupted_by(number)
        assert not list(tmp_path.glob("results/**/*.ipynb"))

    @pytest.mark.slow
    def test_the_same_command_goes_on(self, tmp_path):
        words = [*RUN, "-p", "epochs", "1", "-p", "tau_step", "0.002", "-p", "tau_max", "1"]
        command = Command(tmp_path, *words)
        command.wait_for("results/.work/**/full-*")
        command.interrupted_by(signal.SIGINT)
        trained = {
            p: p.stat().st_mtime_ns for p in tmp_path.glob("results/.work/**/train-*/stage.json")
        }
        assert trained
        again = Command(tmp_path, *words)
        _, errors = again.process.communicate(timeout=120)
        assert (again.process.returncode, errors) == (0, b"")
        assert {p: p.stat().st_mtime_ns for p in trained} == trained
        assert list(tmp_path.glob("results/demo/**/chapter.ipynb"))


def refused(command: Command) -> str:
    """Expect a refusal in one line; returns it."""
    output, errors = command.process.communicate(timeout=60)
    line = errors.decode("utf-8", "backslashreplace")
    assert (command.process.returncode, output) == (2, b""), line
    assert line.startswith("thermo")
    assert line.count("\n") == 1
    return line


CLOSED = (
    "import os, sys; os.close({number}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
MODULE = ("-m", "companion.cli")


class TestOutputs:
    def test_closed_output(self, tmp_path):
        for words in (["chapters"], [*RUN]):
            line = refused(Command(tmp_path, *MODULE, *words, code=CLOSED.format(number=1)))
            assert "output is closed" in line
        assert not (tmp_path / "results").exists()

    def test_closed_errors_and_input(self, tmp_path):
        for number in (0, 2):
            command = Command(tmp_path, *MODULE, "chapters", code=CLOSED.format(number=number))
            output, errors = command.process.communicate()
            assert (command.process.returncode, errors) == (0, b"")
            assert output.count(b"\n") == 21

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_output_to_a_full_disk(self, tmp_path):
        code = (
            "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
            "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        assert "No space left" in refused(Command(tmp_path, *MODULE, "chapters", code=code))


#: ASCII in different ways: for printing alone; for everything; and as Python mends it by itself.
PRINTING = {"PYTHONIOENCODING": "ascii"}
EVERYTHING = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
MENDED = {"LC_ALL": "C"}


class TestLocales:
    @pytest.mark.parametrize("locale", [PRINTING, EVERYTHING, MENDED])
    def test_names_in_refusals(self, tmp_path, locale):
        file = tmp_path / "dätei"
        file.touch()
        refused(Command(tmp_path, "chapters", "--results", file, **locale))
        if locale is EVERYTHING:
            refused(Command(tmp_path, "notebook", "fehlt-ü.md", **locale))

    def test_name_that_is_printed(self, tmp_path):
        code = (
            "import sys; from companion import cli; cli._chapters = lambda o: print(o.results)\n"
            "sys.exit(cli.main())"
        )
        for locale in (PRINTING, EVERYTHING, MENDED):
            command = Command(tmp_path, "chapters", "--results", "ü", code=code, **locale)
            output, errors = command.process.communicate()
            assert (command.process.returncode, errors) == (0, b"")
            assert output.rstrip() in (b"\\xfc", b"\\udcc3\\udcbc", "ü".encode())

    @pytest.mark.slow
    @pytest.mark.parametrize("locale", [PRINTING, MENDED])
    def test_run_in_a_folder_with_a_name(self, tmp_path, locale):
        command = Command(
            tmp_path, *RUN, "-p", "epochs", "1", "--results", "ergebnisse-ü", **locale
        )
        _, errors = command.process.communicate(timeout=120)
        assert (command.process.returncode, errors) == (0, b"")
        assert list((tmp_path / "ergebnisse-ü").glob("demo/**/chapter.ipynb"))

    @pytest.mark.slow
    def test_folder_that_cannot_be_named_to_a_kernel(self, tmp_path):
        command = Command(tmp_path, *RUN, "--results", "ergebnisse-ü", **EVERYTHING)
        assert "take other names, or a locale such as C.UTF-8" in refused(command)


class TestFolders:
    @pytest.fixture
    def mortal(self):
        """The start of a command line whose process may not read everything."""
        if os.getuid() != 0:
            return []
        words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
        if shutil.which(words[0]) is None or subprocess.run([*words, "true"]).returncode != 0:
            pytest.skip("the root user reads every folder, and setpriv cannot change that here")
        return words

    @pytest.mark.parametrize(
        "words", [["chapters"], RUN, [*RUN, "--frozen"], ["variants", "mlp", "cifar10"], ["book"]]
    )
    def test_unreadable(self, tmp_path, mortal, words):
        folder = tmp_path / "locked"
        folder.mkdir(mode=0o000)
        command = [*mortal, sys.executable, *MODULE, *words, "--results", str(folder)]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, b""), done.stderr
        assert done.stderr.count(b"\n") == 1
        assert b"locked" in done.stderr
