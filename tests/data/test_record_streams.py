"""Rows of others' pictures, captions, edits and documents, and mixtures of them."""

import json

import miniature
import numpy as np
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline, shorten
from bridge_jax.data.cache import wishes

PROCESSOR = miniature.PROCESSOR
COUNT = 7
SIZES = {
    "text_to_image": {"image_size": 64},
    "images": {"image_size": 64},
    "retrieve": {"image_length": 32, "text_length": 40, "num_patches": 64},
    "generate": {"length": 96, "image_size": 64},
    "prompts": {"length": 96},
    "edits": {"length": 32, "num_patches": 64, "image_size": 64},
    "documents": {"length": 96, "num_patches": 128},
    "packed_documents": {"length": 128, "num_patches": 128},
}
LIKE = {  # the shapes world's stream whose rows have the same fields
    "text_to_image": "shapes_text_to_image",
    "images": "shapes_images",
    "retrieve": "shapes_retrieve",
    "generate": "shapes_generate",
    "prompts": "shapes_generate",
    "edits": "shapes_edit",
    "documents": "shapes_instruct",
    "packed_documents": "shapes_instruct",
}


def record(number):
    return {
        "image": f"{number}.png",
        "captions": [f"a red {number}", f"a {number} in red"],
        "prompt": f"draw a red {number}",
        "source": f"{number}.png",
        "instruction": f"turn {number} blue",
        "target": f"{COUNT - 1 - number}.png",
        "caption": f"a blue {number}",
    }


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(COUNT):
        picture = draw.integers(0, 256, (40 + 8 * number, 56, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    write(tmp_path, [record(number) for number in range(COUNT)])
    return tmp_path


def write(folder, records):
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, records)))


def stream(folder, source, **fields):
    given = {"data": str(folder / "a.jsonl"), **SIZES.get(source, {}), **fields}
    return pipeline.load_stream(source, given, PROCESSOR)


def kinds(row):
    """Fields with their types and number of axes."""
    if isinstance(row, dict):
        return {name: kinds(value) for name, value in row.items()}
    return np.asarray(row).dtype, np.asarray(row).ndim


@pytest.mark.parametrize("source", SIZES)
def test_rows_have_the_fields_of_the_shapes_worlds(folder, source):
    ours = stream(folder, source)
    rows = [ours(i) for i in range(3 * COUNT)]
    theirs = pipeline.load_stream(LIKE[source], {}, PROCESSOR)(0)
    if source == "prompts":
        del theirs["images"]
    assert all(kinds(row) == kinds(theirs) for row in rows)
    again = ours(5)
    np.testing.assert_equal(again, rows[5])


def test_a_caption_is_chosen_and_dropped_by_chance(folder):
    ours = stream(folder, "text_to_image", drop=0.2, drop_bert=0.5)
    rows = [ours(i) for i in range(200)]
    texts = [PROCESSOR.mt5.decode(r["t5_tokens"][r["t5_mask"]]) for r in rows]
    assert 20 < sum(not text.strip() for text in texts) < 60
    assert 50 < sum("in red" in text for text in texts) < 110
    bert = [int(r["bert_mask"].sum()) for r in rows]
    assert 90 < sum(size == min(bert) for size in bert) < 150


def test_pictures_are_cut_to_their_middle(folder):
    from bridge_jax.data import images

    row = stream(folder, "images")(0)["images"]
    found = [
        np.array_equal(row, images.crop_square(images.open_image(file), 64))
        for file in folder.glob("*.png")
    ]
    assert sum(found) == 1


def test_repeated_pictures_share_their_number(folder):
    rows = [stream(folder, "retrieve", repeat=1.0)(i) for i in range(4)]
    assert [row["ids"] for row in rows[1:]] == [
        stream(folder, "retrieve", repeat=0.0)(i)["ids"] for i in range(3)
    ]
    whole = [stream(folder, "retrieve", repeat=0.0)(i)["ids"] for i in range(COUNT)]
    assert len(set(whole)) == COUNT


def test_what_is_long_is_cut_at_a_word(folder):
    long = record(0) | {"captions": ["red circle " * 200], "prompt": "red " * 200}
    write(folder, [long])
    row = stream(folder, "generate")(0)
    said = PROCESSOR.llm.decode(
        row["vlm"]["tokens"][row["memory_index"][row["memory_mask"]]]
    )
    assert said and set(said.split()) == {"red", "circle"}
    assert (row["vlm"]["segments"] > 0).sum() > 90  # the prompt fills the rest
    assert row["memory_mask"].sum() <= PROCESSOR.config.memory_length


def test_words_are_kept_as_long_as_they_fit():
    llm = PROCESSOR.llm
    text = "red  circle\nand a blue square"
    whole = len(llm.encode_text(text))
    assert shorten.to_tokens(llm, text, whole) == text
    for most in range(1, whole):
        short = shorten.to_tokens(llm, text, most)
        assert len(llm.encode_text(short)) <= most
        longer = text.split()[: len(short.split()) + 1]
        if " ".join(text.split()).startswith(short + " "):
            assert len(llm.encode_text(" ".join(longer))) > most
    assert shorten.to_tokens(llm, "ж" * 50, 4) in ("ж", "жж", "жжж", "жжжж")


def test_an_edit_without_a_caption_is_of_no_use(folder, capsys):
    bare = {k: v for k, v in record(0).items() if not k.startswith("caption")}
    write(folder, [bare, record(1)])
    row = stream(folder, "edits", most_bad=0.6)(0)
    assert row["t5_mask"].sum() > 3
    stream(folder, "edits", most_bad=0.6)(1)
    assert "left out (caption)" in capsys.readouterr().out


class Said(wishes.Captions):
    """Answers every wish alike."""

    def of(self, wish, own):
        return "two green rings"


@pytest.mark.parametrize("source", ["generate", "edits"])
def test_the_llms_caption_takes_the_place_of_the_records(folder, source):
    given = {"data": str(folder / "a.jsonl"), **SIZES[source]}
    heard = wishes.Heard()
    for answers in (heard, Said()):
        of = {"one": {"source": source, **given}}
        alone = pipeline.load_stream(source, given, PROCESSOR, answers)(3)
        mixed = pipeline.load_stream("mixture", {"of": of}, PROCESSOR, answers)(3)
        np.testing.assert_equal(alone, mixed)
    said = PROCESSOR.mt5.decode(alone["t5_tokens"]).replace("▁", " ")
    assert "two green rings" in said and heard.wishes
    one = heard.wishes[0]
    assert (one.picture is None) == (source == "generate")
    assert "red" in one.text or "blue" in one.text
    np.testing.assert_equal(stream(folder, source)(3)["images"], alone["images"])


def test_edits_of_a_cache_need_no_caption_of_their_own(folder):
    bare = {k: v for k, v in record(0).items() if not k.startswith("caption")}
    write(folder, [bare])
    given = {"data": str(folder / "a.jsonl"), **SIZES["edits"]}
    row = pipeline.load_stream("edits", given, PROCESSOR, Said())(0)
    assert "rings" in PROCESSOR.mt5.decode(row["t5_tokens"])


def test_columns_name_fields_anew(folder):
    write(folder, [{"photo": "3.png", "alt": "a red cat"}])
    row = stream(folder, "text_to_image", columns="image=photo,caption=alt")
    assert "red cat" in PROCESSOR.mt5.decode(row(1)["t5_tokens"]).replace("▁", " ")


def test_columns_that_say_nothing_are_refused(folder):
    for columns in ("photo", "image=", "image=a=b"):
        with pytest.raises(BridgeError, match="written as image=photo,caption=alt"):
            stream(folder, "text_to_image", columns=columns)


def test_documents_are_learnt_word_by_word(folder):
    parts = {
        "texts": ["one", None, "two", None],
        "images": [None, "1.png", None, "2.png"],
    }
    write(
        folder,
        [parts, {"text": "three words here"}, {"image": "3.png", "caption": "c"}],
    )
    rows = [stream(folder, "documents")(i) for i in range(3)]
    said = {PROCESSOR.llm.decode(r["targets"][r["loss_mask"] > 0]) for r in rows}
    # A first word comes after nothing that it could be told from.
    assert {text.replace("<|endoftext|>", "") for text in said} == {
        "two",
        " words here",
        "c",
    }
    pictures = sorted(int(r["vlm"]["patch_segments"].max()) for r in rows)
    assert pictures == [0, 1, 2]


def mixture(folder, **weights):
    of = {}
    for name, weight in weights.items():
        data = str(folder / f"{name}.jsonl")
        of[name] = {"source": "images", "weight": weight, "data": data}
        of[name]["image_size"] = 16
    return pipeline.load_stream("mixture", {"of": of}, PROCESSOR)


def test_a_mixture_keeps_its_shares_and_everyones_order(folder):
    for name, level in (("a", 40), ("b", 200)):
        lines = []
        for number in range(5):
            file = f"{name}{number}.png"
            Image.new("RGB", (16, 16), (level, number, 0)).save(folder / file)
            lines.append(json.dumps({"image": file}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    mixed = mixture(folder, a=3.0, b=1.0)
    rows = [mixed(i)["images"][0, 0] for i in range(80)]
    of_b = [i for i, pixel in enumerate(rows) if pixel[0] == 200]
    assert len(of_b) == 20
    for size in range(1, 80):  # no share ever strays
        assert abs(sum(i < size for i in of_b) - size / 4) <= 1
    alone = stream(folder, "images", image_size=16, data=str(folder / "b.jsonl"))
    for number, place in enumerate(of_b):
        np.testing.assert_array_equal(rows[place], alone(number)["images"][0, 0])


def test_a_mixture_of_different_shapes_is_refused(folder):
    of = {
        "a": {"source": "images", "data": str(folder / "a.jsonl"), "image_size": 16},
        "b": {"source": "images", "data": str(folder / "a.jsonl"), "image_size": 32},
    }
    with pytest.raises(BridgeError, match=r"images is uint8 \[16, 16, 3\] in a, uint8"):
        pipeline.load_stream("mixture", {"of": of}, PROCESSOR)(0)
    with pytest.raises(BridgeError, match="names none"):
        pipeline.load_stream("mixture", {}, PROCESSOR)
    of["a"]["weight"] = 0
    with pytest.raises(BridgeError, match="a has weight 0"):
        pipeline.load_stream("mixture", {"of": of}, PROCESSOR)
