"""Caption scores by values worked out by hand, and pictures described in shards."""

import json
import math

import benchmark_files as files
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import options
from bridge_jax.eval.benchmarks import captioning
from bridge_jax.eval.captions import bleu, cider
from bridge_jax.eval.outside import treebank
from bridge_jax.eval.outside.shards import Shard

OPTIONS = options.Options(batch=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man, riding a horse.", "a man riding a horse"),
        ("Don't! It's the dog's.", "do n't it 's the dog 's"),
        ("I can't, we cannot", "i ca n't we can not"),
        ("They\u2019ll be at 10:30", "they 'll be at 10:30"),
        ("a black-and-white cat (1,000 lbs)", "a black-and-white cat 1,000 lbs"),
        ("the U.S. flag -- 'old'", "the u.s. flag old"),
        ("five o'clock", "five o'clock"),
        ("we're gonna eat; mac & cheese", "we 're gon na eat mac cheese"),
        ("... !?", ""),
    ],
)
def test_words(text, words):
    assert treebank.words(text) == words.split()


def split(*texts):
    return [text.split() for text in texts]


def test_bleu_by_hand():
    """6 words: 5, 3, 2 and 1 n-grams of 6, 5, 4 and 3 are right; references have 6."""
    caption = split("the cat sat on a mat")
    references = [split("the cat sat on the mat")]
    found = bleu.Metric()(caption, references)
    precisions = (5 / 6, 3 / 5, 2 / 4, 1 / 3)
    for n in range(1, 5):
        wanted = math.prod(precisions[:n]) ** (1 / n)
        assert found[f"bleu{n}"] == pytest.approx(wanted)


def test_bleu_clips_and_is_brief_over_the_corpus():
    """Papineni's example: "the" counts twice of seven times."""
    caption = split("the the the the the the the")
    told = [split("the cat is on the mat", "there is a cat on the mat")]
    found = bleu.Metric()(caption, told)
    assert found["bleu1"] == pytest.approx(2 / 7) and found["bleu2"] == 0.0
    # Two captions of 2 + 4 words; the nearest references have 3 + 5; all is right.
    captions = split("a b", "a b c d")
    told = [split("a b c", "a b c d e f"), split("a b c d e")]
    assert bleu.Metric()(captions, told)["bleu2"] == pytest.approx(math.exp(1 - 8 / 6))
    # Of two equally near lengths, the shorter: nothing is lost.
    found = bleu.Metric()(split("a b c"), [split("a b", "a b c d")])
    assert found["bleu2"] == pytest.approx(1.0)
    assert set(bleu.Metric()([[]], [split("a")]).values()) == {0.0}


def test_a_perfect_caption():
    told = [split("a red cat sat on it"), split("two blue dogs ran away fast")]
    captions = [references[0] for references in told]
    assert bleu.Metric()(captions, told)["bleu4"] == pytest.approx(1.0)
    assert cider.Metric()(captions, told)["cider"] == pytest.approx(10.0)
    swapped = cider.Metric()(captions[::-1], told)["cider"]
    assert swapped == 0.0


def test_cider_by_hand():
    """Two pictures; "a" is in both and weighs nothing, the rest weighs log 2.

    1-grams: "a dog" against "a big dog": {dog} and {big, dog}: 1 / sqrt(2).
    2-grams: {a dog} and {a big, big dog}: 0. No longer ones in the caption.
    The other caption is right: 1-grams and 2-grams 1, no longer ones.
    """
    captions = split("a dog", "a cat")
    told = [split("a big dog"), split("a cat")]
    apart = math.exp(-1 / 72)
    wanted = 10 * (apart / math.sqrt(2) + 1 + 1) / (4 * 2)
    assert cider.Metric()(captions, told)["cider"] == pytest.approx(wanted)


def test_cider_clips_what_is_said_too_often():
    """{dog: 3 L} against {dog: L}: min gives L x L over 3 L x L; 2 words apart."""
    captions = split("dog dog dog", "cat")
    told = [split("dog"), split("cat")]
    wanted = 10 * (math.exp(-4 / 72) / 3 + 1) / (4 * 2)
    assert cider.Metric()(captions, told)["cider"] == pytest.approx(wanted)


def test_cider_is_the_mean_over_references():
    told = [split("x dog", "y fox"), split("cat")]
    only = [split("x dog"), split("cat")]
    # One of two references shares nothing with the caption; log(2) cancels.
    both = cider.Metric()(split("x dog", "zebra"), told)["cider"]
    one = cider.Metric()(split("x dog", "zebra"), only)["cider"]
    assert one == pytest.approx(10 * 2 / 8) and both == pytest.approx(one / 2)


@pytest.fixture
def coco(tmp_path):
    """Five pictures in "images"; picture i's captions speak of i."""
    images, annotations = [], []
    for i in range(5):
        files.picture(tmp_path / f"images/{i}.png", i)
        images.append({"id": 100 + i, "file_name": f"{i}.png"})
        for words in ("this is a big number", "here you can see the number"):
            annotations.append({"image_id": 100 + i, "caption": f"{words} n{i}."})
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def test_coco_and_lines_are_scored_alike(coco, tmp_path):
    bench = captioning.Benchmark(coco)
    lines = [
        {"image": f"images/{i}.png", "captions": list(item.captions)}
        for i, item in enumerate(bench.items)
    ]
    other = captioning.Benchmark(files.lines(tmp_path / "d.jsonl", lines))
    model = files.Reader(lambda colour, _: f"This is a big number N{colour}")
    for index in (1, 0):
        bench.answer(model, tmp_path / "a", OPTIONS, Shard(index, 2))
    other.answer(model, tmp_path / "b", OPTIONS)
    figures = bench.score(tmp_path / "a")
    assert figures == other.score(tmp_path / "b")
    assert set(figures) == {"bleu1", "bleu2", "bleu3", "bleu4", "cider"}
    assert figures["bleu4"] == pytest.approx(1.0) and figures["cider"] > 4
    only = bench.score(tmp_path / "a", "cider")
    assert only == {"cider": figures["cider"]}
    wrong = files.Reader(lambda colour, _: f"nothing {colour}")
    bench.answer(wrong, tmp_path / "c", OPTIONS)
    assert bench.score(tmp_path / "c")["cider"] == 0.0
    with pytest.raises(BridgeError, match="did you mean 'cider'"):
        bench.score(tmp_path / "a", "ciderr")


def test_mistakes_come_all_at_once(coco, tmp_path):
    document = json.loads(coco.read_text())
    document["images"][1]["id"] = 100
    document["images"][2]["file_name"] = "there.png"
    document["images"].append({"id": 9, "file_name": "0.png"})
    document["annotations"][0]["caption"] = ""
    document["annotations"][9]["image_id"] = 7
    coco.write_text(json.dumps(document))
    with pytest.raises(BridgeError) as error:
        captioning.Benchmark(coco)
    said = str(error.value)
    places = ("images[1]", "images[2]", "images[5]", "annotations[0]", "annotations[9]")
    for place in places:
        assert place in said
    coco.write_text("[]")
    with pytest.raises(BridgeError, match="no JSON object"):
        captioning.Benchmark(coco)
    data = files.lines(tmp_path / "d.jsonl", [{"image": "images/0.png"}, {}])
    with pytest.raises(BridgeError, match=r"d.jsonl:1: 'captions'.*d.jsonl:2"):
        captioning.Benchmark(data)
