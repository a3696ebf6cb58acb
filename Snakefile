# chapters -> tables -> book. Rules call the thermo command, so notebooks stay ordinary notebooks.
#
#   snakemake -j2                              all chapters at the demo profile, then the site
#   snakemake -j2 --config profile=small       on real data (THERMO_DATA or the hub)
#   snakemake -j2 read                         the site from committed records, nothing computed
#   snakemake --executor slurm -j20 ...        every chapter a job (pip install -e .[slurm])
import os

from thermo_utils.chapters import CHAPTERS

PROFILE = config.get("profile", "demo")
RESULTS = config.get("results", "results")
NAMES = [chapter.name for chapter in CHAPTERS]
SITE = "_build/html/index.html"
PAGES = "book/method.md book/index.md book/_toc.yml _config.yml".split()


rule book:
    input:
        expand(f"{RESULTS}/{PROFILE}/{{name}}/chapter.ipynb", name=NAMES),
        f"{RESULTS}/.work/your_model.ipynb",
    shell:
        "thermo book --profile {PROFILE} --results {RESULTS}"


# Finished stages are kept, so running a chapter again after a crash or a change of its notebook
# costs seconds. One thread a chapter: two chapters side by side beat two threads in one.
rule chapter:
    input:
        lambda wildcards: f"notebooks/{wildcards.model}.md",
    output:
        RESULTS + "/{profile}/{model}-{dataset}/chapter.ipynb",
    wildcard_constraints:
        model="[a-z0-9_]+",
        dataset="[a-z0-9_]+",
    threads: 1
    shell:
        "OMP_NUM_THREADS={threads} thermo run {wildcards.model} {wildcards.dataset}"
        " --profile {wildcards.profile} --results {RESULTS} --quiet"


rule your_model:
    input:
        "notebooks/your_model.md",
    output:
        RESULTS + "/.work/your_model.ipynb",
    threads: 1
    shell:
        "OMP_NUM_THREADS={threads} thermo notebook {input} -o {output}"
