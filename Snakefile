# chapters -> book. Rules call the thermo command, so notebooks stay ordinary notebooks.
#
#   snakemake -j2                                  all chapters at the demo profile, then the site
#   snakemake -j2 --config profile=small           on real data (THERMO_DATA or the hub)
#   snakemake -j2 --config profile=small frozen=1  the site from committed records, nothing computed
#   snakemake -j20 --executor slurm                every chapter a job (pip install -e .[slurm])
from pathlib import Path

from companion.runs.chapters import CHAPTERS

PROFILE = config.get("profile", "demo")
RESULTS = config.get("results", "results")
FROZEN = bool(int(config.get("frozen", 0)))
NAMES = [
    chapter.name
    for chapter in CHAPTERS
    if not FROZEN or Path(RESULTS, PROFILE, chapter.name, "result.json").exists()
]


rule book:
    input:
        expand(f"{RESULTS}/{PROFILE}/{{name}}/chapter.ipynb", name=NAMES),
        f"{RESULTS}/.work/your_model.ipynb",
    shell:
        "thermo book --profile {PROFILE} --results {RESULTS}"


def sources(wildcards):
    """The notebook, and the records where only these may be used."""
    folder = Path(RESULTS, wildcards.profile, f"{wildcards.model}-{wildcards.dataset}")
    records = [folder / "result.json", *sorted(folder.glob("seed-*/result.json"))]
    return [f"notebooks/{wildcards.model}.md", *(records if FROZEN else [])]


# Finished stages are kept, so running a chapter again after a crash or a change of its notebook
# costs seconds. One thread a chapter: two chapters side by side beat two threads in one.
rule chapter:
    input:
        sources,
    output:
        RESULTS + "/{profile}/{model}-{dataset}/chapter.ipynb",
    params:
        frozen="--frozen" if FROZEN else "",
    wildcard_constraints:
        model="[a-z0-9_]+",
        dataset="[a-z0-9_]+",
    threads: 1
    shell:
        "OMP_NUM_THREADS={threads} thermo run {wildcards.model} {wildcards.dataset}"
        " --profile {wildcards.profile} --results {RESULTS} --quiet {params.frozen}"


rule your_model:
    input:
        "notebooks/your_model.md",
    output:
        RESULTS + "/.work/your_model.ipynb",
    threads: 1
    shell:
        "OMP_NUM_THREADS={threads} thermo notebook {input} -o {output} --quiet"
