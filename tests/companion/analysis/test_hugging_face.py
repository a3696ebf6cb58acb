"""``thermo analyze`` on folders of Hugging Face models, with the score that another count gives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.hub.server import Hub
from thermo_utils.saving import load_safe

GRID = ("--tau-step", "0.2", "--tau-max", "0.8")
GOOD, BAD, PLAIN = ("good", "great", "fine"), ("bad", "awful", "poor"), ("the", "movie", "was")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *GOOD, *BAD, *PLAIN)
#: Sides of pictures, which are not square.
SIDES = (40, 52)

pytestmark = pytest.mark.usefixtures("undrawn")


def tokenizer():
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    )


def sentences(count=36):
    """Texts of several lengths, and whether they praise."""
    rng = np.random.default_rng(0)
    for i in range(count):
        words = [*rng.choice(PLAIN, rng.integers(1, 6)), *rng.choice(GOOD if i % 2 else BAD, 2)]
        yield " ".join(rng.permutation(words)), i % 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small networks, trained for a moment, as `save_pretrained` writes them."""
    import transformers as T

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("models")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
             "intermediate_size": 32}  # fmt: skip
    text = {**small, "vocab_size": len(WORDS), "max_position_embeddings": 20, "pad_token_id": 0}
    classes = {"id2label": {0: "praise", 1: "blame"}, "label2id": {"praise": 0, "blame": 1}}
    texts, good = zip(*sentences(), strict=True)
    inputs = tokenizer()(list(texts), padding=True, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    tokens, mask = inputs["input_ids"], inputs["attention_mask"]

    def train(model, labels):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        model.train()
        for _ in range(25):
            optimizer.zero_grad()
            model(**inputs, labels=labels).loss.backward()
            optimizer.step()
        return model.eval()

    praise = torch.tensor([0 if g else 1 for g in good])  # "praise" is class 0
    opinion = torch.isin(tokens, torch.tensor([WORDS.index(w) for w in (*GOOD, *BAD)])).long()
    colours = {"id2label": {0: "red", 1: "green"}, "label2id": {"red": 0, "green": 1}}
    vit = T.ViTConfig(**small, **colours, image_size=32, patch_size=16)
    gpt = T.GPT2Config(
        vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=20, bos_token_id=2,
        eos_token_id=3,
    )  # fmt: skip
    models = {
        "bert": train(T.BertForSequenceClassification(T.BertConfig(**text, **classes)), praise),
        "unnamed": T.BertForSequenceClassification(T.BertConfig(**text, num_labels=2)),
        "value": T.BertForSequenceClassification(T.BertConfig(**text, num_labels=1)),
        "words": train(
            T.BertForTokenClassification(
                T.BertConfig(**text, id2label={0: "O", 1: "ADJ"}, label2id={"O": 0, "ADJ": 1})
            ),
            opinion.masked_fill(mask == 0, -100),
        ),
        "gpt": train(T.GPT2LMHeadModel(gpt), tokens.masked_fill(mask == 0, -100)),
        "masked": T.BertForMaskedLM(T.BertConfig(**text)),
        "vit": T.ViTForImageClassification(vit),
    }
    for name, model in models.items():
        model.save_pretrained(root / name)
        if name != "vit":
            tokenizer().save_pretrained(root / name)
    T.ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3], image_std=[0.5, 0.6, 0.7]
    ).save_pretrained(root / "vit")
    return root


@pytest.fixture
def table(here):
    """Sentences with the names of their classes, in a table."""
    rows = [(text, "praise" if good else "blame") for text, good in sentences()]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(here / "texts.csv", index=False)
    return here / "texts.csv"


@pytest.fixture
def pictures(here):
    """Folders of pictures, whose names are in another order than the network's classes."""
    rng = np.random.default_rng(1)
    for channel, name in enumerate(("red", "green")):
        (here / "pictures" / name).mkdir(parents=True)
        for i in range(6):
            pixels = rng.integers(0, 120, (*SIDES, 3)).astype(np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(here / "pictures" / name / f"{i}.png")
    return here / "pictures"


def unpruned(done):
    assert done.code == 0, done.err
    full = pd.read_csv(done.folder / "curves.csv").query("method == 'full'").iloc[0]
    return full["accuracy"] + (full["lost"] - full["gained"]) / len(list(sentences()))


def test_a_classifier_of_texts(folders, table, analyze):
    done = analyze(folders / "bert", table, *GRID, "--keep", "kept.pt")
    assert done.code == 0, done.err
    assert load_safe(done.folder / "safe.json").baseline == unpruned(done) == 1.0
    assert "label 0: praise\nlabel 1: blame" in done.out
    assert "pruned: bert.encoder.layer.0.intermediate.intermediate_act_fn, bert.pooler" in done.out
    kept = torch.load("kept.pt", weights_only=False)
    assert kept.config.id2label == {0: "praise", 1: "blame"}


def test_columns_of_other_names_in_lines_of_json(folders, here, analyze):
    with (here / "texts.jsonl").open("w") as file:
        for text, good in sentences():
            file.write(json.dumps({"said": text, "class": 0 if good else 1}) + "\n")
    words = (folders / "bert", "texts.jsonl", *GRID, "--text-column", "said")
    assert unpruned(analyze(*words, "--label-column", "class")) == 1.0
    refused = analyze(*words, "--label-column", "klass", output="other")
    assert "did you mean 'class'" in refused.err


def test_class_numbers_of_another_order_follow_their_names(folders, here, analyze):
    import datasets

    texts, good = zip(*sentences(), strict=True)
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["Blame", "Praise"])}
    )
    rows = {"text": list(texts), "label": [int(g) for g in good]}  # 1 is praise, here
    part = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": part.select([0]), "test": part}).save_to_disk(here / "saved")
    assert unpruned(analyze(folders / "bert", "saved", *GRID)) == 1.0
    refused = analyze(folders / "bert", "saved", "--split", "tset", output="other")
    assert "did you mean 'test'" in refused.err
    part.remove_columns("label").save_to_disk(here / "bare")
    refused = analyze(folders / "bert", "bare", output="other")
    assert "--label-column" in refused.err
    assert analyze(folders / "bert", "bare", "--rfe-only", output="other").code == 0


@pytest.mark.slow
def test_data_sets_by_name_from_a_mirror(folders, here, analyze, monkeypatch):
    rows = [(text, "praise" if good else "blame") for text, good in sentences()]
    (here / "mirror" / "some" / "texts").mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["text", "label"])
    table.to_parquet(here / "mirror" / "some" / "texts" / "validation.parquet")
    monkeypatch.setenv("THERMO_DATA", str(here / "mirror"))
    done = analyze(folders / "bert", "some/texts", *GRID)
    assert unpruned(done) == 1.0
    assert "some/texts (part validation)" in done.out
    assert unpruned(analyze(folders / "bert", "mirror/some/texts/", *GRID, output="local")) == 1.0
    refused = analyze(folders / "bert", "some/others", *GRID, output="other")
    assert "THERMO_DATA has no folder some/others" in refused.err


@pytest.mark.slow
def test_models_and_data_sets_by_name_from_the_hub_and_then_from_the_cache(folders, here):
    rows = [(text, "praise" if good else "blame") for text, good in sentences()]
    table = pd.DataFrame(rows, columns=["text", "label"]).to_csv(index=False).encode()
    model = {file.name: file.read_bytes() for file in (folders / "bert").iterdir()}
    repositories = {
        ("models", "somebody/bert"): model,
        ("datasets", "somebody/texts"): {"test.csv": table, "README.md": b"# Texts\n"},
    }
    words = ["somebody/bert", "somebody/texts", *GRID, "--quiet"]
    command = [sys.executable, "-m", "companion.cli", "analyze", *words, "-o"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "THERMO_"))}
    with Hub(repositories, {}) as hub:
        online = clean | {"HF_ENDPOINT": hub.url, "HF_HOME": str(here / "cache")}
        done = subprocess.run([*command, "on"], env=online, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "somebody/texts (part test)" in done.stdout
        before = len(hub.requests)
        offline = online | {"HF_HUB_OFFLINE": "1"}
        again = subprocess.run([*command, "off"], env=offline, capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert len(hub.requests) == before
    assert load_safe(here / "on" / "safe.json").baseline == 1.0
    tables = [(here / name / "curves.csv").read_text() for name in ("on", "off")]
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_images_of_a_data_set_are_those_of_a_folder(folders, pictures, here, analyze):
    import datasets

    files = [(str(f), n) for n in ("green", "red") for f in sorted((pictures / n).iterdir())]
    features = datasets.Features(
        {"picture": datasets.Image(), "label": datasets.ClassLabel(names=["green", "red"])}
    )
    rows = {"picture": [f for f, _ in files], "label": [n for _, n in files]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(here / "saved")
    done = [
        analyze(folders / "vit", data, *GRID, output=f"of_{data.name}")
        for data in (pictures, here / "saved")
    ]
    tables = [pd.read_csv(run.folder / "curves.csv") for run in done]
    pd.testing.assert_frame_equal(*tables)


def test_a_language_model_is_scored_by_the_next_token(folders, here, table, analyze):
    import transformers

    shutil.copytree(folders / "gpt", here / "gpt")
    with_left = tokenizer()  # as those of many language models pad
    with_left.padding_side = "left"
    with_left.save_pretrained(here / "gpt")
    done = analyze("gpt", table, *GRID, "--batch-size", "5")
    assert done.code == 0, done.err
    model = transformers.GPT2LMHeadModel.from_pretrained(folders / "gpt").eval()
    losses, tokens = 0.0, 0
    for text, _ in sentences():  # one by one, without padding
        ids = tokenizer()(text, return_tensors="pt")["input_ids"]
        count = ids.shape[1] - 1
        with torch.no_grad():
            losses += float(model(input_ids=ids, labels=ids).loss) * count
        tokens += count
    safe = load_safe(done.folder / "safe.json")
    assert safe.metric == "perplexity"
    assert safe.baseline == pytest.approx(np.exp(losses / tokens), rel=1e-4)
    assert safe.drop <= 0.01 * safe.baseline


@pytest.mark.slow
def test_a_classifier_of_words(folders, here, analyze):
    with (here / "words.jsonl").open("w") as file:
        for text, _ in sentences():
            words = text.split()
            names = ["O" if word in PLAIN else "ADJ" for word in words]
            file.write(json.dumps({"text": words, "label": names}) + "\n")
    done = analyze(folders / "words", "words.jsonl", *GRID)
    assert done.code == 0, done.err
    assert load_safe(done.folder / "safe.json").baseline == 1.0
    count = sum(len(text.split()) for text, _ in sentences())
    html = (done.folder / "report.html").read_text()
    assert f"on {count:,} targets" in html
    padded = sum(
        max(lengths) * len(lengths) - sum(lengths)
        for lengths in np.split([len(text.split()) for text, _ in sentences()], [32])
    )
    whole = sum(
        max(lengths) * len(lengths)
        for lengths in np.split([len(text.split()) for text, _ in sentences()], [32])
    )
    assert f"{padded / whole:.1%} of the positions are padding" in html


def test_a_classifier_of_images_takes_its_own_preparation(folders, pictures, analyze):
    import transformers

    done = analyze(folders / "vit", pictures, *GRID, "--batch-size", "5", "--layers", "classifier")
    assert done.code == 0, done.err
    model = transformers.ViTForImageClassification.from_pretrained(folders / "vit").eval()
    right = total = 0
    for number, name in enumerate(("red", "green")):
        for file in (pictures / name).iterdir():
            image = Image.open(file).resize((32, 32), Image.Resampling.BILINEAR)
            pixels = torch.tensor(np.asarray(image) / 255.0).permute(2, 0, 1).float()
            mean, spread = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7])
            pixels = (pixels - mean[:, None, None]) / spread[:, None, None]
            with torch.no_grad():
                scores = model(pixel_values=pixels[None]).logits[0]
            right += int(scores.argmax() == number)
            total += float(scores.abs().sum())
    html = (done.folder / "report.html").read_text()
    assert f"{100 * right / 12:.2f} %" in html
    assert "mean 0.1 0.2 0.3, standard deviation 0.5 0.6 0.7" in html
    scale = pd.read_csv(done.folder / "layers.csv")["scale"][0]
    assert scale == pytest.approx(total / 24, rel=0.01)


@pytest.mark.slow
def test_images_for_a_network_in_half_precision(folders, pictures, here, analyze):
    import transformers

    shutil.copytree(folders / "vit", here / "vit")
    model = transformers.ViTForImageClassification.from_pretrained(folders / "vit")
    model.to(torch.bfloat16).save_pretrained(here / "vit")
    done = analyze("vit", pictures, *GRID, "--layers", "classifier")
    assert done.code == 0, done.err
    plain = analyze(folders / "vit", pictures, *GRID, "--layers", "classifier", output="plain")
    scales = [pd.read_csv(run.folder / "layers.csv")["scale"][0] for run in (done, plain)]
    assert scales[0] != scales[1]
    assert scales[0] == pytest.approx(scales[1], rel=0.05)


@pytest.mark.slow
def test_values_are_judged_by_their_error(folders, here, analyze):
    rows = [(text, good + 0.5) for text, good in sentences()]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(here / "values.csv", index=False)
    done = analyze(folders / "value", "values.csv", *GRID)
    assert done.code == 0, done.err
    assert "mse" in pd.read_csv(done.folder / "curves.csv")


@pytest.mark.slow
def test_one_example_in_three_at_random(folders, table, analyze):
    done = analyze(folders / "bert", table, *GRID, "--limit", "12", "--batch-size", "5")
    assert "12 of 36 examples at random (seed 0)" in (done.folder / "report.html").read_text()
    other = analyze(folders / "bert", table, *GRID, "--limit", "12", "--seed", "1", output="other")
    sums = [pd.read_csv(run.folder / "layers.csv")["scale"][0] for run in (done, other)]
    assert sums[0] != sums[1]


@pytest.mark.slow
def test_names_are_shown_as_text(folders, here, analyze):
    config = json.loads((folders / "bert" / "config.json").read_text())
    shutil.copytree(folders / "bert", here / "bert")
    names = ["<script>alert(1)</script>", "<b>{{ 7 * 7 }}"]
    config["id2label"] = {str(i): name for i, name in enumerate(names)}
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (here / "bert" / "config.json").write_text(json.dumps(config))
    rows = [(text, names[0] if good else names[1]) for text, good in sentences()]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(here / "<i>.csv", index=False)
    done = analyze("bert", "<i>.csv", *GRID)
    html = (done.folder / "report.html").read_text()
    assert "<script" not in html
    assert "<i>.csv" not in html
    assert "&lt;b&gt;{{ 7 * 7 }}" in html


@pytest.mark.slow
class TestMistakes:
    @pytest.fixture
    def refused(self, here, analyze):
        def run(*words):
            done = analyze(*words)
            assert done.code == 2
            assert done.err.count("\n") == 1, done.err
            assert not done.folder.exists()
            return done.err

        return run

    def test_labels_that_are_no_classes(self, folders, table, here, refused):
        table.write_text(table.read_text().replace("blame", "scorn"))
        assert "no single class of the network is called scorn" in refused(folders / "bert", table)
        table.write_text(table.read_text().replace("scorn", "7").replace("praise", "0"))
        assert "from 0 to 1" in refused(folders / "bert", table)

    def test_one_label_of_two_for_classes_without_names(self, folders, table, refused):
        table.write_text(table.read_text().replace("blame", "praise"))
        assert "1 labels (praise) and the network 2 classes" in refused(folders / "unnamed", table)

    def test_texts_of_two_kinds(self, folders, here, refused):
        rows = [{"text": "good", "label": 0}, {"text": ["good"], "label": 0}]
        (here / "mixed.jsonl").write_text("\n".join(map(json.dumps, rows)))
        assert "make all alike" in refused(folders / "bert", "mixed.jsonl")

    def test_targets_that_a_table_does_not_hold(self, folders, table, analyze, refused):
        assert "--rfe-only" in refused(folders / "masked", table)
        assert "list of words" in refused(folders / "words", table)
        assert analyze(folders / "masked", table, "--rfe-only").code == 0

    def test_a_folder_without_a_tokenizer(self, folders, table, here, refused):
        shutil.copytree(folders / "bert", here / "bert")
        for file in (here / "bert").glob("tokenizer*"):
            file.unlink()
        assert "--tokenizer" in refused("bert", table)

    def test_a_tokenizer_that_knows_no_word(self, folders, table, refused):
        table.write_text("text,label\ngut,praise\nschlecht,blame\n")
        assert "none of the words" in refused(folders / "bert", table)

    def test_a_damaged_folder(self, folders, table, here, refused):
        shutil.copytree(folders / "bert", here / "bert")
        (here / "bert" / "model.safetensors").write_bytes(b"nothing")
        assert "could not load bert" in refused("bert", table)
        config = json.loads((here / "bert" / "config.json").read_text())
        for architectures in (["BertForNothing"], None):
            config["architectures"] = architectures
            (here / "bert" / "config.json").write_text(json.dumps(config))
            assert "FILE.py:NAME" in refused("bert", table)
        (here / "bert" / "config.json").write_text("{")
        assert "could not load bert" in refused("bert", table)

    def test_a_name_that_cannot_be_reached(self, table, refused, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        line = refused("somebody/something", table)
        assert "somebody/something" in line
        assert "HF_HUB_OFFLINE" in line
        assert "nobody/nothing" in refused("somebody/something", "nobody/nothing")

    def test_a_damaged_image(self, folders, pictures, refused):
        (pictures / "red" / "3.png").write_bytes(b"nothing")
        assert "red/3.png" in refused(folders / "vit", pictures)

    def test_a_class_without_images(self, folders, pictures, refused):
        (pictures / "empty").mkdir()
        assert "empty" in refused(folders / "vit", pictures)


@pytest.mark.slow
def test_weights_that_a_folder_lacks_are_told_of(folders, table, here, analyze):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folders / "bert", here / "bert")
    weights = load_file(here / "bert" / "model.safetensors")
    kept = {name: w.clone() for name, w in weights.items() if not name.startswith("classifier.")}
    save_file(kept, here / "bert" / "model.safetensors", metadata={"format": "pt"})
    done = analyze("bert", table, *GRID)
    assert "warning: 2 of the network's weights, such as classifier.bias" in done.out
