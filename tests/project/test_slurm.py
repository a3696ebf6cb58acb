"""Snakemake in earnest: who may work in a folder, and every chapter a job of a Slurm cluster.

The cluster is Debian's ``munge`` and ``slurm-wlm`` on the loopback, without accounting, and gone
after the tests. The commands are those of the README and the Makefile.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from companion.interrupts import MESSAGE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo")
CONFIGURATION = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""".lstrip()
#: Stands for the command: waits while told to, and makes what it is asked for.
STAND_IN = """
#!/bin/sh
while [ -e hold ]; do touch holding; sleep 0.1; done
case $1 in
run) mkdir -p results/demo/$2-$3; touch results/demo/$2-$3/chapter.ipynb ;;
notebook) mkdir -p results/.work; while [ "$1" != -o ]; do shift; done; touch $2 ;;
esac
""".lstrip()

pytestmark = [pytest.mark.slow, pytest.mark.machine]


@pytest.fixture
def clone(tmp_path):
    """A folder with what Snakemake reads of the project, so that nobody else's lock is touched."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Snakefile", "notebooks", "profiles"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def environment(tmp_path):
    """The project's commands first on the path, temporary files in a folder of the test's own."""
    (tmp_path / "tmp").mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")}


def until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def start(line: str, clone: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """A line of shell in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        ["bash", "-c", f"exec {line}"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


class TestOneAtATime:
    @pytest.fixture
    def book(self, clone, environment, tmp_path):
        """Start what ``make book`` starts, with another command in the place of ``thermo``."""
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "thermo").write_text(STAND_IN)
        (tmp_path / "bin" / "thermo").chmod(0o755)
        environment["PATH"] = os.pathsep.join([str(tmp_path / "bin"), environment["PATH"]])
        line = subprocess.run(
            ["make", "--dry-run", "--no-print-directory", "--old-file", ".venv/.ready", "book"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        assert line.startswith("snakemake --jobs ")
        return lambda: start(line, clone, environment)

    def test_second_is_refused_in_one_line(self, clone, book):
        (clone / "hold").touch()
        first = book()
        until((clone / "holding").exists)
        second = book()
        assert second.communicate()[0].count("\n") == 1
        assert second.returncode == 1
        (clone / "hold").unlink()
        assert first.wait(60) == 0
        assert not list(clone.glob(".snakemake/locks/*"))

    def test_lock_of_a_killed_one_is_removed_and_that_is_said(self, clone, book):
        (clone / "hold").touch()
        first = book()
        until((clone / "holding").exists)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        assert list(clone.glob(".snakemake/locks/*"))
        (clone / "hold").unlink()
        for said in (1, 0):  # once
            again = book()
            assert again.communicate(timeout=60)[0].count("unlocked") == said
            assert again.returncode == 0
        assert len(list(clone.glob("results/demo/*/chapter.ipynb"))) == 20


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def cluster(tmp_path, environment):
    """A node of two cores that takes jobs; its environment."""
    if os.getuid() != 0:
        pytest.skip("only the root user can start slurmd")
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("the extra slurm is not installed")
    folder = tmp_path / "cluster"
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir(parents=True)
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=socket.gethostname(), folder=folder, ports=free_ports(2))
    )
    # Jobs look for the configuration in /etc/slurm, which is not the tests' to write in.
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    wrapper.chmod(0o755)
    environment["PATH"] = os.pathsep.join([str(folder / "bin"), environment["PATH"]])
    environment["SLURM_CONF"] = str(configuration)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    munge = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid",
             "log-file": folder / "munged.log", "seed-file": folder / "munge.seed"}  # fmt: skip
    commands = [
        [
            "munged",
            "--foreground",
            "--force",
            *(f"--{name}={path}" for name, path in munge.items()),
        ],
        ["slurmctld", "-D"],
        ["slurmd", "-D"],
    ]
    daemons = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("w") as log:
                daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if command[0] == "munged":
                until((folder / "munge.socket").exists, 20)
        until(lambda: "idle" in asked(environment, "sinfo", "--noheader", "--format=%T"), 60)
        yield environment
        asked(environment, "scancel", "--user=root")
        until(lambda: not asked(environment, "squeue", "--noheader"), 60)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(30)


def asked(environment: dict[str, str], *words: str) -> str:
    """What one of Slurm's commands answers."""
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, check=False
    ).stdout.strip()


class TestCluster:
    @pytest.fixture
    def command(self):
        found = re.findall(r"^(snakemake .*profiles/slurm\S*)", README, flags=re.MULTILINE)
        assert len(found) == 1
        return found[0]

    def test_what_is_asked_for(self, clone, environment, command):
        """More time for pretrained networks, a GPU at the paper's scale alone."""
        asks = {}
        for profile in ("demo", "small", "paper"):
            targets = [
                f"results/{profile}/{name}/chapter.ipynb" for name in ("mlp-cifar10", "bert-yelp")
            ]
            line = (
                f"{command.replace('--profile profiles/slurm', '--cores 1')} -n {' '.join(targets)}"
            )
            done = start(line, clone, environment)
            output = done.communicate()[0]
            assert done.returncode == 0, output
            for name, resources in re.findall(
                r"output: \S+/(\S+)/chapter.*?resources: ([^\n]*)", output, re.DOTALL
            ):
                pairs = (pair.partition("=") for pair in resources.split(", "))
                asks[profile, name] = {key: value for key, _, value in pairs}
        runtimes = {key: int(ask["runtime"]) for key, ask in asks.items()}
        assert runtimes["paper", "bert-yelp"] > runtimes["paper", "mlp-cifar10"]
        assert {profile for (profile, _), ask in asks.items() if ask["gpu"] == "1"} == {"paper"}
        for name in ("mlp-cifar10", "bert-yelp"):
            for what in ("runtime", "mem_mb"):
                demo, small, paper = (int(asks[p, name][what]) for p in ("demo", "small", "paper"))
                assert 0 < demo < small < paper

    @pytest.mark.timeout(600)
    def test_chapters_are_jobs_and_a_cancelled_one_goes_on(self, clone, cluster, command):
        def notebooks(*names: str) -> str:
            return " ".join(f"results/demo/{name}/chapter.ipynb" for name in names)

        def trained() -> dict[Path, int]:
            stages = clone.glob("results/.work/**/train-*/stage.json")
            return {path: path.stat().st_mtime_ns for path in stages}

        def running() -> list[str]:
            return asked(cluster, "squeue", "--noheader", "--states=RUNNING", "--format=%i").split()

        def one_in_its_sweep() -> bool:
            return len(trained()) == 2 and len(running()) == 1

        first = start(f"{command} {notebooks('mlp-cifar10', 'vit-cifar10')}", clone, cluster)
        until(lambda: first.poll() is not None or one_in_its_sweep(), 240)
        assert first.poll() is None, first.communicate()
        kept = trained()
        asked(cluster, "scancel", *running())
        output = first.communicate(timeout=240)[0]
        assert first.returncode == 1, output
        assert "CANCELLED" in output
        assert (clone / notebooks("mlp-cifar10")).exists()
        assert not (clone / notebooks("vit-cifar10")).exists()
        (log,) = clone.glob(".snakemake/slurm_logs/**/*vit*/*.log")
        assert MESSAGE in log.read_text()
        assert "Traceback" not in log.read_text()
        assert not kernels(cluster["TMPDIR"])

        line = f"{command} {notebooks('mlp-cifar10', 'vit-cifar10', 'lstm-ag_news')}"
        second = start(line, clone, cluster)
        output = second.communicate(timeout=300)[0]
        assert second.returncode == 0, output
        assert all((clone / path).exists() for path in line.split() if path.endswith(".ipynb"))
        assert kept.items() <= trained().items()  # the training was not repeated
        assert not kernels(cluster["TMPDIR"])


def kernels(folder: str) -> list[psutil.Process]:
    """Kernels whose sockets lie in a folder."""
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if any(folder in word for word in p.info["cmdline"] or [])]
