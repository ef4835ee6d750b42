"""An adapter at another language model, and what it says of a picture."""

import json

import jax.numpy as jnp
import langbridge_models
import numpy as np
import pytest
from PIL import Image

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.cli import main
from bridge_jax.core import trees
from bridge_jax.data import shapes_world, tokens, vocabulary
from configs.shapes_langbridge import LLMS

WORDS = vocabulary.load(tokens.BUILT_IN / vocabulary.SHAPES)
MLP = {"connector": "mlp2x_gelu"}
WIDTH = {name: sizes["hidden_size"] for name, sizes in LLMS.items()}
ALONE = {"family": "decoder_lm", "size": "tiny", **LLMS["qwen2"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an adapter, an MLP connector and both language models.

    One of those is alone, one has practised with given mixtures of words.
    """
    home = tmp_path_factory.mktemp("langbridge")
    langbridge_models.write(home / "adapter", "adapter-qwen2")
    langbridge_models.write(home / "mlp", "adapter-qwen2", **MLP)
    langbridge_models.write(home / "llama3", "words-llama3")
    langbridge_models.write(home / "qwen2", "words-qwen2", table=ALONE)
    image = shapes_world.Source("test")[3].image
    Image.fromarray(image).save(home / "picture.png")
    return home


def bridge(*words):
    return main.main(["langbridge", *map(str, words)])


def moved(home, out, adapter="adapter", to="llama3", *flags):
    where = ("--adapter", home / adapter, "--to", home / to)
    return bridge("transfer", *where, "-o", out, *flags)


def flat(folder):
    return trees.flatten(weights_file.load(folder, dtype=None))


def test_a_moved_adapter_is_the_old_one_with_the_others_decoder(home, tmp_path):
    assert moved(home, tmp_path / "moved") == 0
    about = weights_file.read_config(tmp_path / "moved")
    assert tuple(about["model"]["vlm"]["words"]) == WORDS.of("llama3")
    asked = {name: about["processor"][name] for name in ("llm", "template")}
    assert asked == {"llm": "llama3", "template": "llama3"}
    old, other = flat(home / "adapter"), flat(home / "llama3")
    for path, array in flat(tmp_path / "moved").items():
        source = other if path.startswith("vlm/llm/") else old
        np.testing.assert_array_equal(array, source[path])


def test_there_and_back_nothing_has_changed(home, tmp_path):
    assert moved(home, tmp_path / "there") == 0
    back = ("--adapter", tmp_path / "there", "--to", home / "qwen2")
    assert bridge("transfer", *back, "-o", tmp_path / "back") == 0
    first, last = (home / "adapter", tmp_path / "back")
    about = [
        weights_file.read_config(folder)["model"]["vlm"] for folder in (first, last)
    ]
    assert about[0]["words"] == about[1]["words"]
    adapter = [
        {p: a for p, a in flat(folder).items() if "connector" in p}
        for folder in (first, last)
    ]
    for path, array in adapter[0].items():
        np.testing.assert_array_equal(array, adapter[1][path])


def test_a_moved_model_is_loaded_and_asked(home, tmp_path):
    assert moved(home, tmp_path / "moved") == 0
    model = bridge_jax.load(tmp_path / "moved")
    picture = Image.open(home / "picture.png")
    [answer] = model.chat([picture], ["How many objects?"], max_new_tokens=4)
    assert len(answer.tokens) <= 4
    assert model.engine.bundle["vlm"].config.llm.hidden_size == WIDTH["llama3"]


def test_a_padded_mlp_says_the_same_and_then_nothing(home, tmp_path):
    assert moved(home, tmp_path / "moved", "mlp", "llama3", "--pad") == 0
    models = [bridge_jax.load(folder) for folder in (home / "mlp", tmp_path / "moved")]
    processor = models[0].processor
    patches, grid = processor.look_at(shapes_world.Source("test")[3].image)
    row, _, _ = processor.vlm([processor.look(grid)], [(patches, grid)], 32, 64)
    names = ("patches", "coordinates", "patch_segments")
    given = {name: jnp.asarray(row[name])[None] for name in names}
    small, wide = (
        np.asarray(
            model.engine.bundle.apply("vlm", model.params, **given, method="visual")
        )
        for model in models
    )
    np.testing.assert_allclose(wide[..., : WIDTH["qwen2"]], small, atol=1e-6)
    assert not wide[..., WIDTH["qwen2"] :].any()


@pytest.mark.parametrize(
    ("adapter", "to", "told"),
    [
        ("mlp", "llama3", "only a langbridge moves by its words"),
        ("llama3", "qwen2", "the connector 'mixture': only a langbridge moves"),
        ("qwen2", "llama3", "one part of the family llava is needed"),
        ("adapter", "../nothing", "no weights"),
    ],
)
def test_what_cannot_move_is_told(home, tmp_path, capsys, adapter, to, told):
    assert moved(home, tmp_path / "moved", adapter, to) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert not (tmp_path / "moved").exists()


def test_an_mlp_does_not_fit_a_narrower_decoder(home, tmp_path, capsys):
    langbridge_models.write(
        tmp_path / "narrow", "words-qwen2", table=ALONE | {"hidden_size": 96}
    )
    where = ("--adapter", home / "mlp", "--to", tmp_path / "narrow", "--pad")
    assert bridge("transfer", *where, "-o", tmp_path / "out") == 2
    told = f"{WIDTH['qwen2']} values a token does not fit a decoder of 96"
    assert told in capsys.readouterr().err


def test_words_that_another_model_lacks_are_told(home, tmp_path, capsys):
    """An adapter of words that only its own tokenizer has."""
    qwen, llama = (tokens.load_built_in(name) for name in ("qwen2_vl", "llama3"))
    own = vocabulary.spellings(qwen)
    words = sorted(
        own[word] for word in own.keys() - vocabulary.spellings(llama).keys()
    )
    sizes = {"vision": 160, "vocab": 30}
    langbridge_models.write(
        tmp_path / "own", "adapter-qwen2", words=words[:30], langbridge=sizes
    )
    where = ("--adapter", tmp_path / "own", "--to", home / "llama3")
    assert bridge("transfer", *where, "-o", tmp_path / "out") == 2
    assert "30 of 30 words are no token of" in capsys.readouterr().err
    control = qwen.token_id("<|im_end|>")
    langbridge_models.write(
        tmp_path / "wrong",
        "adapter-qwen2",
        words=[control],
        langbridge=sizes | {"vocab": 1},
    )
    where = ("--adapter", tmp_path / "wrong", "--to", home / "llama3")
    assert bridge("transfer", *where, "-o", tmp_path / "out") == 2
    assert "1 of 1 ids are no words of" in capsys.readouterr().err


def test_words_are_drawn_and_told(home, tmp_path):
    out, curve = tmp_path / "overlay.png", tmp_path / "curve.png"
    both = ("--model", home / "adapter", "--against", home / "mlp")
    words = ("explain", home / "picture.png", *both, "-o", out, "--curve", curve)
    assert bridge(*words, "--top", 4) == 0
    told = json.loads(out.with_suffix(".json").read_text())
    kinds = [told[str(home / name)]["kind"] for name in ("adapter", "mlp")]
    assert kinds == ["coefficients", "cosines"]
    for one in told.values():
        assert one["grid"] == [1, 4, 4] and len(one["tokens"]) == 16
        for token in one["tokens"]:
            assert len(token["words"]) == 4
            assert token["values"] == sorted(token["values"], reverse=True)
        assert one["shares"] == sorted(one["shares"])
    assert one["shares"][-1] <= 1 + 1e-5
    with Image.open(out) as drawn, Image.open(curve):
        assert drawn.size[0] >= 4 * 104


def test_the_words_told_are_those_of_the_largest_coefficients(home):
    model = bridge_jax.load(home / "adapter")
    [found] = model.explain([home / "picture.png"], top=80)
    for token in range(16):
        values = dict(
            zip(found.words[token], found.values[token].tolist(), strict=True)
        )
        assert values.keys() == set(WORDS.words)
        size = np.abs(list(values.values()))
        share = size / size.sum()
        entropy = -(share * np.log(share)).sum()
        np.testing.assert_allclose(found.entropy[token], entropy, rtol=1e-4)
    np.testing.assert_allclose(found.shares[-1], 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("picture.png", "--model", "shapes-tiny"), "its vlm is qwen2_vl"),
        (("picture.png", "--top", "81"), "top 81 is more than the 80 words"),
        (("adapter/config.json",), "is not a readable picture"),
    ],
)
def test_what_cannot_be_explained_is_told(home, tmp_path, capsys, words, told):
    picture, *flags = words
    flags = flags if "--model" in flags else ["--model", home / "adapter", *flags]
    out = tmp_path / "overlay.png"
    assert bridge("explain", home / picture, *flags, "-o", out) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
