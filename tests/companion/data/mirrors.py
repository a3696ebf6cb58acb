"""Small local mirrors of datasets, laid out as on the hub."""

from __future__ import annotations

import io

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from companion.data.specs import DATASETS

CIFAR, NEWS = DATASETS["cifar10"], DATASETS["ag_news"]


def encoded(image, kind="png"):
    """An image, or its pixels, as the bytes of a file."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind)
    return buffer.getvalue()


def png(pixels):
    return {"bytes": encoded(pixels), "path": None}


def pictures(n, side, seed):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def rows(spec, n, seed=0, side=32):
    """What a table holds: images or texts, and labels that go through the classes."""
    labels = [i % len(spec.class_names) for i in range(n)]
    if spec.kind == "text":
        return {"text": [f"{seed} words {i}" for i in range(n)], "label": labels}
    return {spec.column: [png(image) for image in pictures(n, side, seed)], "label": labels}


def typed(spec, names=None):
    content = datasets.Image() if spec.kind == "image" else datasets.Value("string")
    label = datasets.ClassLabel(names=list(names or spec.class_names))
    return datasets.Features({spec.column: content, "label": label})


def write_table(path, columns, features=None):
    """A Parquet file, with the metadata of the hub if there are features."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    if features is not None:
        table = table.cast(features.arrow_schema)
    pq.write_table(table, path, compression="none")  # as many bytes for as much text


def write_part(folder, name, spec, images, labels, *, features=True):
    path = folder / f"{name}-00000-of-00001.parquet"
    columns = {spec.column: [png(i) for i in images], "label": labels}
    write_table(path, columns, typed(spec) if features else None)


def make_mirror(root, spec=CIFAR, side=32, sizes=None, labels=None, features=True, seed=0):
    sizes = sizes or {"train": 100, "test": 30}
    for i, (name, size) in enumerate(sizes.items()):
        wanted = np.arange(size) % len(spec.class_names) if labels is None else labels[name]
        write_part(
            root / spec.hub_id / "data", name, spec, pictures(size, side, seed + i), wanted,
            features=features,
        )  # fmt: skip
    return root
