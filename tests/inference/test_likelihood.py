"""Log-probabilities equal those of a plain pass over one row, padded on the right."""

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, patches
from bridge_jax.inference import inputs, settings
from bridge_jax.inference.answering import likelihood, looking

TEXTS = ["a red circle", "two large blue stars above one small ring", "a ring"]
LENGTH = 192  # of every plain pass, so that it is compiled twice
PROMPTS = ["What is it?", "What do you see in the picture?", "What colour?"]


@pytest.fixture(scope="module")
def plain(model):
    """plain(row, pictures) -> log p of each of the row's tokens but the first."""
    engine, processor = model.engine, model.processor

    @jax.jit
    def run(params, fields):
        hidden, _ = engine.bundle.apply("vlm", params, **fields)
        scores = engine.bundle.apply("vlm", params, hidden, method="logits")
        return jax.nn.log_softmax(scores[0], axis=-1)

    def of(row, pictures=()):
        merge = processor.config.merge
        fields = chat.pad_batch([row], LENGTH, 0, merge)
        names = ("tokens", "segments", "image_index", "positions")
        given = {name: fields[name] for name in names}
        if pictures:
            opened = inputs.pictures(pictures, processor)
            seen = [[one.patches() for one in opened]]
            count = sum(one.size for one in opened)
            packed = patches.pack(seen, count, processor.patch_width, merge)
            names = ("patches", "coordinates", "patch_segments")
            given |= dict(zip(names, packed, strict=True))
        log_p = np.asarray(run(model.params, given), np.float64)
        return log_p[np.arange(len(row.tokens) - 1), row.tokens[1:]]

    return of


def test_targets_are_read_after_what_chat_asks(model, plain, pictures):
    found = model.likelihood(PROMPTS, TEXTS, [pictures[0], None, pictures[1]])
    seen = [(one,) for one in inputs.pictures(pictures[:2], model.processor)]
    answers = looking.descriptions(model.engine, model.params, seen)
    described = [answer.text for answer in answers]
    for i, look in ((0, described[0]), (1, None), (2, described[1])):
        shown = [] if look is None else [pictures[min(i, 1)]]
        messages = [{"role": "user", "content": PROMPTS[i]}]
        if look is not None:
            describe = {"type": "text", "text": model.processor.words.describe}
            messages = [
                {"role": "user", "content": [{"type": "image"}, describe]},
                {"role": "assistant", "content": look},
                *messages,
            ]
        opened = inputs.pictures(shown, model.processor) if shown else []
        grids = [one.grid for one in opened]
        row = model.processor.render(messages, grids, answer=True)
        words = model.processor.llm.encode_text(TEXTS[i])
        nothing = np.zeros(len(words), bool)
        said = chat.Row(np.asarray(words, np.int32), nothing, nothing, nothing)
        log_p = plain(chat.follow([row, said]), shown)[-len(words) :]
        assert found[i].tokens == len(words)
        np.testing.assert_allclose(found[i].log_probability, log_p.sum(), rtol=1e-4)


def test_all_replies_of_a_conversation_count_and_their_ends_do_not(
    model, plain, pictures
):
    image = {"type": "image"}
    messages = [
        {"role": "user", "content": [image, {"type": "text", "text": PROMPTS[0]}]},
        {"role": "assistant", "content": TEXTS[0]},
        {"role": "user", "content": PROMPTS[2]},
        {"role": "assistant", "content": TEXTS[1]},
    ]
    text = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b c"}]
    found = model.likelihood_of_replies([messages, text], [pictures[0], None])
    for one, shown, given in ((messages, pictures[:1], found[0]), (text, [], found[1])):
        opened = inputs.pictures(shown, model.processor) if shown else []
        row = model.processor.render(one, [picture.grid for picture in opened])
        log_p = plain(row, shown)
        words = [m["content"] for m in one if m["role"] == "assistant"]
        count = sum(len(ids) for ids in model.processor.llm.encode_texts(words))
        end = model.processor.llm.token_id("<|im_end|>")
        counted = (row.response & (row.tokens != end))[1:]
        assert given.tokens == counted.sum() == count
        np.testing.assert_allclose(
            given.log_probability, log_p[counted].sum(), rtol=1e-4
        )


def test_documents_have_every_token_foretold(model, plain):
    found = model.likelihood([None] * 3, TEXTS)
    qwen = model.processor.llm
    for text, (total, count) in zip(TEXTS, found, strict=True):
        ids = [qwen.token_id("<|endoftext|>"), *qwen.encode_text(text)]
        log_p = plain(likelihood._words(ids, 1))
        assert count == len(ids) - 1
        np.testing.assert_allclose(total, log_p.sum(), rtol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 12, 13, 40])
@pytest.mark.parametrize("most", [4, 5, 8])
def test_windows_count_each_token_once(length, most):
    made = list(likelihood.windows(length, most))
    counted = [t for _, stop, first in made for t in range(first, stop)]
    assert counted == list(range(1, length))
    assert all(stop - start <= most for start, stop, _ in made)
    assert all(first - start >= most // 2 for start, _, first in made[1:])


def test_long_documents_are_read_in_windows(folder, model, plain):
    short = bridge_jax.load(folder, limits=settings.Limits(max_context=32, rows=2))
    text = " ".join(TEXTS * 3)
    ((total, count),) = short.likelihood([None], [text])
    qwen = model.processor.llm
    ids = [qwen.token_id("<|endoftext|>"), *qwen.encode_text(text)]
    assert 32 < len(ids) == count + 1
    wanted = 0.0
    for start, stop, first in likelihood.windows(len(ids), 32):
        log_p = plain(likelihood._words(ids[start:stop], 0))
        wanted += log_p[first - start - 1 :].sum()
    np.testing.assert_allclose(total, wanted, rtol=1e-4)
    ((whole, _),) = model.likelihood([None], [text])
    assert abs(whole - total) > 1e-3


def test_likelihoods_do_not_depend_on_neighbours(model):
    together = model.likelihood(PROMPTS, TEXTS)
    for i, (total, count) in enumerate(together):
        ((alone, same),) = model.likelihood(PROMPTS[i : i + 1], TEXTS[i : i + 1])
        assert count == same
        np.testing.assert_allclose(total, alone, rtol=1e-4)


def test_mistakes(model, pictures):
    with pytest.raises(BridgeError, match="target 1 is empty"):
        model.likelihood(["a", "b"], ["a", ""])
    with pytest.raises(BridgeError, match="prompts and targets: 1 and 2"):
        model.likelihood(["a"], ["a", "b"])
    with pytest.raises(BridgeError, match="without prompts have no images"):
        model.likelihood([None], ["a"], [pictures[0]])
    with pytest.raises(BridgeError, match="prompt 1 is None"):
        model.likelihood(["a", None], ["a", "b"])
    with pytest.raises(BridgeError, match=r"answer 0 has .* at most 1,024 fit"):
        model.likelihood(["a"], ["b " * 2000])


def test_scores_over_the_vocabulary_exist_for_a_block_at_a_time(model):
    """All at once, those of a row of 1,024 tokens of Qwen2-VL would fill 600 MB."""
    fields = {
        "tokens": np.zeros((2, 256), np.int32),
        "segments": np.ones((2, 256), np.int32),
        "positions": np.zeros((2, 3, 256), np.int32),
        "image_index": np.full((2, 256), -1, np.int32),
    }
    batch = {"vlm": fields, "counted": np.ones((2, 256), bool)}
    bundle = model.engine.bundle
    text = str(
        jax.make_jaxpr(
            lambda params: likelihood.log_probabilities(bundle, params, batch, {})
        )(model.params)
    )
    size = bundle["vlm"].config.vocab_size
    assert f"f32[2,32,{size}]" in text and f"f32[2,256,{size}]" not in text
