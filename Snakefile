# chapters -> book. Rules call the thermo command, so notebooks stay ordinary notebooks.
#
#   snakemake -j2                         all chapters at the demo profile, then the site
#   snakemake -j2 --config profile=small  on real data (THERMO_DATA or the hub)
#   snakemake --profile profiles/slurm    every chapter a job of a cluster
#   thermo book                           the site alone, nothing computed
import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from companion.networks import NETWORKS
from companion.pages.your_model import PAGES
from companion.runs.chapters import CHAPTERS, added

PROFILE = config.get("profile", "demo")
RESULTS = config.get("results", "results")
# The pages for adapting show themselves on generated data, unless the real ones are at hand.
REAL = PROFILE == "small" and "THERMO_DATA" in os.environ
SHOWN = "small" if REAL else "demo"
NAMES = [chapter.name for chapter in (*CHAPTERS, *added(PROFILE))]

# Snakemake's locks are files: they stay when it is killed, and do not tell who holds them. This one
# is the system's and goes with the process that holds it, so whoever has it may remove those.
LOCKS = Path(".snakemake", "locks")
WORKING = FileLock(Path(".snakemake", "working.lock"))
if workflow.is_main_process and not workflow.dryrun:  # jobs read this file too
    LOCKS.mkdir(parents=True, exist_ok=True)
    try:
        WORKING.acquire(blocking=False)
    except Timeout:
        sys.exit("another snakemake is at work in this folder: wait until it has ended")
    left = list(LOCKS.iterdir())
    for lock in left:
        lock.unlink()
    if left:
        print("an earlier snakemake was killed and left a lock: unlocked", file=sys.stderr)


# What a cluster is asked for. A chapter that needs more time than that goes on where it was when
# the same command is given again.
def minutes(wildcards):
    """Of the committed records on one core, the slowest took an hour and a half."""
    recipe = NETWORKS[wildcards.model].recipes[wildcards.dataset, wildcards.profile]
    whole = 12 * 60 if recipe.checkpoint is None else 48 * 60
    return {"demo": 30, "small": 6 * 60, "paper": whole}[wildcards.profile]


def megabytes(wildcards):
    return {"demo": 4_000, "small": 8_000, "paper": 24_000}[wildcards.profile]


def gpus(wildcards):
    return int(wildcards.profile == "paper")


localrules:
    book,


rule book:
    input:
        expand(f"{RESULTS}/{PROFILE}/{{name}}/chapter.ipynb", name=NAMES),
        expand(f"{RESULTS}/.work/your_model_{{example}}.ipynb", example=PAGES),
    threads: 2
    shell:
        "thermo book --results {RESULTS} --jobs {threads}"


def sources(wildcards):
    """The notebook, and what the network starts from.

    A network that starts from what it learned on other data waits for that chapter: it would train
    there first itself, or sit on a core until the other process has.
    """
    notebook = f"notebooks/{wildcards.model}.md"
    recipe = NETWORKS[wildcards.model].recipes[wildcards.dataset, wildcards.profile]
    if recipe.transfer is None:
        return [notebook]
    other = Path(RESULTS, wildcards.profile, f"{wildcards.model}-{recipe.transfer}")
    return [notebook, other / "chapter.ipynb"]


# What takes longest comes first, so that no core is left alone with it at the end.
LONG = "mobilenet_v2|resnet18|t5|vit"


# Finished stages are kept, so running a chapter again after a crash or a change of its notebook
# costs seconds. One thread a chapter: two chapters side by side beat two threads in one.
rule chapter:
    input:
        sources,
    output:
        RESULTS + "/{profile}/{model}-{dataset}/chapter.ipynb",
    wildcard_constraints:
        model=f"(?!(?:{LONG})-)[a-z0-9_]+",
        dataset="[a-z0-9_]+",
    threads: 1
    resources:
        runtime=minutes,
        mem_mb=megabytes,
        gpu=gpus,
    shell:
        "OMP_NUM_THREADS={threads} thermo run {wildcards.model} {wildcards.dataset}"
        " --profile {wildcards.profile} --results {RESULTS} --quiet"


use rule chapter as long_chapter with:
    wildcard_constraints:
        model=LONG,
        dataset="[a-z0-9_]+",
    priority: 1


rule your_model:
    input:
        "notebooks/your_model.md",
    output:
        RESULTS + "/.work/your_model_{example}.ipynb",
    priority: 2
    params:
        command=lambda wildcards, output: PAGES[wildcards.example].command(output[0], SHOWN),
    threads: 1
    resources:
        runtime=30,
        mem_mb=4_000,
    shell:
        "OMP_NUM_THREADS={threads} {params.command} --quiet"
