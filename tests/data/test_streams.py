"""Every stream on disk: pure rows, right marks, and nothing held out in training."""

import re

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, pipeline, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, tints
from bridge_jax.data.shapes import scene as scenes

# Those that need no file: others' have tests of their own.
STREAMS = [
    name
    for name in rooms.names("bridge_jax.data.streams", "Stream")
    if name.startswith("shapes_")
]
WORDLESS = {"shapes_images", "shapes_embeddings"}
QWEN = miniature.PROCESSOR.llm
MT5 = miniature.PROCESSOR.mt5
IMAGE_PAD = QWEN.token_id("<|image_pad|>")
QUESTION = miniature.PROCESSOR.words.describe
END = QWEN.token_id("<|im_end|>")


def make(source, **fields):
    return pipeline.load_stream(source, fields, miniature.PROCESSOR)


def vlm_fields(row):
    return [fields for name, fields in row.items() if name.startswith("vlm")]


def texts(row):
    """Everything that a row says in words."""
    said = [QWEN.decode(fields["tokens"]) for fields in vlm_fields(row)]
    for side in ("t5", "bert"):
        if f"{side}_tokens" in row:
            tokenizer = getattr(miniature.PROCESSOR, {"t5": "mt5"}.get(side, side))
            said.append(tokenizer.decode(row[f"{side}_tokens"]))
    return " | ".join(said)


def heldout_pairs(text):
    pairs = (f"{color} {shape}" for color, shape in palette.HELDOUT_PAIRS)
    return [pair for pair in pairs if re.search(rf"\b{pair}", text)]


@pytest.mark.parametrize("source", STREAMS)
def test_a_row_is_a_pure_function_of_its_index(source):
    first, again, other = make(source)(7), make(source)(7), make(source)(8)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    same = jax.tree.map(np.array_equal, first, other)
    assert not all(jax.tree.leaves(same))
    seeded = jax.tree.map(np.array_equal, first, make(source, seed=1)(7))
    assert not all(jax.tree.leaves(seeded))


@pytest.mark.parametrize("source", STREAMS)
def test_rows_have_one_shape(source):
    stream = make(source)

    def shapes(index):
        return jax.tree.map(lambda leaf: (np.shape(leaf), leaf.dtype), stream(index))

    assert all(shapes(index) == shapes(0) for index in range(1, 12))


@pytest.mark.parametrize("source", [s for s in STREAMS if s not in WORDLESS])
def test_training_never_names_a_heldout_pair(source):
    train, heldout = make(source), make(source, split="heldout")
    assert not [i for i in range(60) if heldout_pairs(texts(train(i)))]
    assert [i for i in range(20) if heldout_pairs(texts(heldout(i)))]


def test_tinted_pictures_teach_shapes_without_colors():
    """Colors without a name are far from all that have one, and are not named."""
    stream, nameless = make("shapes_caption", tinted=1.0), 0
    for index in range(40):
        rng = Choices(0, "train", index, "caption")
        assert rng.coin(1.0)
        _, caption = tints.pictured(rng, "train")
        assert caption in QWEN.decode(stream(index)["vlm"]["tokens"])
        assert not heldout_pairs(caption)
        *things, _ = caption.split(", ")
        for thing in things:
            nameless += not any(color in thing for color in palette.COLORS)
            assert re.match(r"a (small|large) (\w+ )?\w+ [a-z ]+$", thing)
    assert nameless > 20
    tint = np.array(tints._tint(Choices(0, "train", 1, "x"), "gray"))
    colors = np.array(list(palette.COLORS.values()))
    assert np.linalg.norm(colors - tint, axis=1).min() >= 40
    assert np.linalg.norm(np.array(palette.BACKGROUNDS["gray"]) - tint) >= 80


@pytest.mark.parametrize("source", ["shapes_caption", "shapes_instruct"])
def test_slips_are_read_and_not_said(source):
    stream, whole = make(source, slips=0.5), make(source)
    colors = [QWEN.encode_text(f" {color}")[0] for color in palette.COLORS]
    slipped = 0
    for index in range(60):
        row, plain = stream(index), whole(index)
        np.testing.assert_array_equal(row["targets"], plain["vlm"]["tokens"])
        changed = row["vlm"]["tokens"] != row["targets"]
        assert row["loss_mask"][changed].all()
        assert np.isin(row["vlm"]["tokens"][changed], colors).all()
        assert np.isin(row["targets"][changed], colors).all()
        slipped += changed.sum()
        if source == "shapes_instruct" and (row["vlm"]["image_index"] >= 0).any():
            # What answers rest on is read as it is: the first reply describes.
            first = np.flatnonzero(row["targets"] == END)[1]
            assert not changed[:first].any()
    assert slipped > 10


def answers(tokens):
    """What the chat format says is the assistant's: bool [T]."""
    mask, opening = np.zeros(len(tokens), bool), QWEN.encode_text("assistant\n")
    start = QWEN.token_id("<|im_start|>")
    for at in np.flatnonzero(tokens == start):
        first = at + 1 + len(opening)
        if tokens[at + 1 : first].tolist() == opening:
            mask[first : first + np.argmax(tokens[first:] == END) + 1] = True
    return mask


def test_documents_mix_words_and_pictures_and_learn_every_word():
    stream = make("shapes_interleaved")
    several = first_words = 0
    for index in range(12):
        row = stream(index)
        fields, mask = row["vlm"], row["loss_mask"]
        marks = [QWEN.token_id(f"<|vision_{end}|>") for end in ("start", "end")]
        padding = fields["segments"] == 0
        silent = np.isin(row["targets"], [*marks, IMAGE_PAD]) | padding
        starts = np.flatnonzero(np.diff(fields["segments"], prepend=0) > 0)
        first_words += (~silent[starts]).sum()
        silent[starts] = True  # nothing before them tells them
        np.testing.assert_array_equal(mask, ~silent)
        pictures = np.count_nonzero(row["targets"] == marks[0])
        assert pictures == fields["patch_segments"].max()
        several += pictures > fields["segments"].max()
        text = QWEN.decode(row["targets"]).replace("<|endoftext|>", "\n")
        assert "user" not in text and any(color in text for color in palette.COLORS)
    assert several and first_words
    with pytest.raises(BridgeError, match="does not fit into 20 and 64"):
        make("shapes_interleaved", length=20, num_patches=64)(0)


@pytest.mark.parametrize("source", ["shapes_caption", "shapes_instruct"])
def test_only_what_the_assistant_says_is_learnt(source):
    stream = make(source)
    for index in range(30):
        row = stream(index)
        tokens, mask = row["vlm"]["tokens"], row["loss_mask"] > 0
        np.testing.assert_array_equal(mask, answers(tokens))
        assert mask.sum() >= 2 and tokens[np.flatnonzero(mask)[-1]] == END


@pytest.mark.parametrize("source", ["shapes_text_to_image", "shapes_images"])
def test_who_draws_is_shown_tints_and_told_none(source):
    plain, tinted = make(source), make(source, tinted=1.0)
    assert unlike_named(plain, 30) == 0
    assert unlike_named(tinted, 30) > 15
    if source not in WORDLESS:
        assert not [i for i in range(30) if heldout_pairs(texts(tinted(i)))]


def unlike_named(stream, rows):
    """In how many pictures something has a color that no word is for."""
    named = np.array([*palette.COLORS.values(), *palette.BACKGROUNDS.values()])
    found = 0
    for index in range(rows):
        pixels = stream(index)["images"].reshape(-1, 3)
        colors, counts = np.unique(pixels, axis=0, return_counts=True)
        flat = colors[counts > 60].astype(int)  # no edges, which are mixtures
        far = np.linalg.norm(flat[:, None] - named, axis=-1).min(1) >= 39
        found += bool(far.any())
    return found


def test_tinted_pictures_can_be_asked_for_apart():
    plain = make("shapes_caption", tinted=0.5)
    apart = make("shapes_caption", tinted=0.5, apart=True)
    asked = 0
    for index in range(20):
        first, second = (QWEN.decode(one(index)["targets"]) for one in (plain, apart))
        assert "Describe the picture." in first
        if first != second:
            asked += 1
            assert "Describe the shapes." in second
            assert first.split("assistant")[1] == second.split("assistant")[1]
    assert 4 < asked < 16


@pytest.mark.parametrize("source", [s for s in STREAMS if s not in WORDLESS])
def test_placeholders_stand_where_visual_tokens_go(source):
    stream = make(source)
    for number in range(15):
        for fields in vlm_fields(stream(number)):
            nowhere = np.full(fields["tokens"].shape, -1)
            index = fields.get("image_index", nowhere)  # text alone has none
            shown = index[index >= 0]
            pads = fields["tokens"] == IMAGE_PAD
            np.testing.assert_array_equal(pads, index >= 0)
            patches = (fields.get("patch_segments", np.zeros(1)) > 0).sum()
            assert shown.tolist() == list(range(patches // 4))


def test_a_length_that_holds_no_caption_is_refused():
    with pytest.raises(BridgeError, match="do not fit into 20"):
        make("shapes_caption", length=20)(0)


def test_generation_remembers_exactly_the_caption():
    stream = make("shapes_generate")
    for index in range(20):
        row = stream(index)
        tokens = row["vlm"]["tokens"]
        caption = chat.caption_text(QWEN, tokens)
        marked = tokens[row["memory_index"][row["memory_mask"]]]
        assert QWEN.decode(marked) == caption == MT5.decode(row["t5_tokens"])
        assert language.parse_caption(caption) is not None
        assert row["replaceable"] and row["images"].shape == (64, 64, 3)


def test_editing_remembers_exactly_the_picture():
    stream = make("shapes_edit")
    for index in range(10):
        row = stream(index)
        at = row["memory_index"][row["memory_mask"]]
        np.testing.assert_array_equal(row["vlm"]["image_index"][at], np.arange(16))
        assert row["memory_mask"].sum() == 16 and not row["replaceable"]
        assert language.parse_caption(MT5.decode(row["t5_tokens"])) is not None


def test_retrieval_remembers_the_picture_and_exactly_the_caption():
    stream = make("shapes_retrieve")
    for index in range(15):
        row = stream(index)
        at = row["image_index"][row["image_mask"]]
        np.testing.assert_array_equal(row["vlm_image"]["image_index"][at], range(16))
        tokens = row["vlm_text"]["tokens"]
        said = QWEN.decode(tokens[row["text_index"][row["text_mask"]]])
        whole = QWEN.decode(tokens).removeprefix("user\n").rstrip("\n")
        assert said == whole and " background" in said


def test_retrieval_repeats_a_scene_in_other_words():
    stream = make("shapes_retrieve", repeat=1.0)
    before = make("shapes_retrieve", repeat=0.0)(4)
    row = stream(5)
    assert row["ids"] == before["ids"] != stream(6)["ids"]
    np.testing.assert_array_equal(
        row["vlm_image"]["patches"], before["vlm_image"]["patches"]
    )


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_near_scenes_differ_from_the_one_before_in_one_thing(split):
    stream = make("shapes_retrieve", split=split, near=1.0, repeat=0.0, canonical=1.0)
    source = shapes_world.Source(split, 0)
    backgrounds = 0
    for index in range(1, 24):
        fields = stream(index)["vlm_text"]
        said = QWEN.decode(fields["tokens"]).removeprefix("user\n").rstrip("\n")
        *things, background = said.split(", ")
        before = language.canonical(source[index - 1].scene)
        *things_before, background_before = before.split(", ")
        new, gone = set(things) - set(things_before), set(things_before) - set(things)
        others = (background != background_before, len(new), len(gone))
        assert others in {(True, 0, 0), (False, 1, 1)}
        backgrounds += others[0]
    assert 5 < backgrounds < 18


def test_dropped_texts_are_empty_and_open_masks_full():
    stream = make("shapes_text_to_image", drop=1.0, open_mask=1.0)
    row = stream(3)
    assert MT5.decode(row["t5_tokens"]) == "" and row["t5_mask"].all()
    stream = make("shapes_text_to_image", drop=0.0, drop_bert=0.0, open_mask=0.0)
    row = stream(3)
    assert MT5.decode(row["t5_tokens"]) == miniature.PROCESSOR.bert.decode(
        row["bert_tokens"]
    )
    assert row["t5_mask"].sum() < row["t5_mask"].size


def test_the_longest_texts_of_the_world_fit():
    """Every word is one token: a scene with its four objects in the corners is it."""
    corners = [place for place in palette.PLACES if " " in place]
    pairs = [("red", "star")] * len(corners)
    scene = scenes.arrange(Choices(0, "train", 0, "long"), pairs, corners)
    caption, styles = language.canonical(scene), language.STYLES
    made, processor = dict.fromkeys(STREAMS, 0), miniature.PROCESSOR
    for style in styles.values():
        row = processor.draw(style(scene), caption)
        made["shapes_generate"] = max(made["shapes_generate"], len(row.tokens))
    for style in language.FULL_STYLES:
        row = processor.say(styles[style](scene))
        made["shapes_retrieve"] = max(made["shapes_retrieve"], len(row.tokens))
    made["shapes_caption"] = len(processor.describe(caption, (1, 8, 8)).tokens)
    assert len(corners) == 4 and made["shapes_generate"] > 80
    assert made["shapes_generate"] <= make("shapes_generate").length
    assert made["shapes_retrieve"] <= make("shapes_retrieve").text_length
    assert made["shapes_caption"] <= make("shapes_caption").length


def test_what_is_told_in_words_is_the_scene_that_is_asked_about():
    """Every object's words, its place and the background, and the canonical caption."""
    stream = make("shapes_text")
    styles = set()
    for index in range(40):
        row = stream(index)
        scene = shapes_world.Source("train")[index].scene
        told, _ = QWEN.decode(row["targets"]).split(QUESTION, 1)
        for thing in scene.objects:
            for word in (thing.size, thing.color, thing.shape, *thing.place.split()):
                assert word in told, (told, thing)
        assert scene.background in told
        styles.add("there is" in told)
        learnt = QWEN.decode(row["targets"][row["loss_mask"] > 0])
        assert learnt.startswith(language.canonical(scene))
    assert styles == {True, False}


def test_glances_stand_where_a_picture_stands():
    """As many visual tokens as there are cells, in a share of the rows."""
    stream = make("shapes_text", glances=0.5, length=112)
    glanced = 0
    for index in range(40):
        row = stream(index)
        fields, scene = row["vlm"], shapes_world.Source("train")[index].scene
        places = np.flatnonzero(fields["image_index"] >= 0)
        assert fields["patches"].shape[0] == 16
        learnt = QWEN.decode(row["targets"][row["loss_mask"] > 0])
        assert learnt.startswith(language.canonical(scene))
        if not len(places):
            assert not fields["patches"].any() and not fields["patch_segments"].any()
            continue
        glanced += 1
        np.testing.assert_array_equal(fields["image_index"][places], range(16))
        np.testing.assert_allclose(fields["patches"].sum(-1), 1, rtol=1e-5)
        said, _ = QWEN.decode(row["targets"]).split(QUESTION, 1)
        assert not heldout_pairs(said) and scene.background not in said
    assert 10 < glanced < 30
