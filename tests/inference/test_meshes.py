"""Several devices and batches with filling give what one device gives row by row.

Eleven items do not divide over eight devices: five rows of sixteen are filling. The
single device runs one row at a time, where nothing is filled up.
"""

import json

import benchmark_files as files
import numpy as np
import pytest
from PIL import Image

import bridge_jax
from bridge_jax.eval import options
from bridge_jax.eval.benchmarks import captioning, karpathy, perplexity, vqa_file
from bridge_jax.inference import settings

COUNT = 11
MESHES = {
    "data": ({"data": -1}, (vqa_file, captioning, karpathy, perplexity)),
    "all": ({"data": 2, "fsdp": 2, "tensor": 2}, (captioning, perplexity)),
}


@pytest.fixture(scope="module")
def single(folder, attentive):
    return attentive(bridge_jax.load(folder, limits=settings.Limits(rows=1)))


@pytest.fixture(scope="module", params=MESHES)
def several(request, folder, attentive):
    """(model, benchmarks) of a mesh."""
    mesh, benchmarks = MESHES[request.param]
    limits = settings.Limits(rows=3)
    return attentive(bridge_jax.load(folder, mesh, limits=limits)), benchmarks


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Benchmark -> its file of eleven items."""
    home = tmp_path_factory.mktemp("data")
    vqa, told, split, texts = [], [], [], []
    for i in range(COUNT):
        blocks = np.random.default_rng(i).integers(0, 256, (4, 4, 3), np.uint8)
        pixels = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
        name, caption = f"{i}.png", "a ring and " * (i % 3) + f"a star {i}"
        Image.fromarray(pixels).save(home / name)
        vqa.append({"image": name, "question": f"What is {i}?", "answer": "x"})
        told.append({"image": name, "captions": [caption]})
        sentences = [{"raw": caption}, {"raw": f"star number {i}"}]
        split.append({"filename": name, "split": "test", "sentences": sentences})
        turns = [{"from": "human", "value": f"What is {i}?"}]
        turns.append({"from": "gpt", "value": caption})
        texts.append({"text": caption} if i % 2 else {"conversations": turns})
    karpathys = home / "split.json"
    karpathys.write_text(json.dumps({"images": split}))
    return {
        vqa_file: files.lines(home / "vqa.jsonl", vqa),
        captioning: files.lines(home / "told.jsonl", told),
        karpathy: karpathys,
        perplexity: files.lines(home / "texts.jsonl", texts),
    }


@pytest.fixture(scope="module")
def alone(single, data, tmp_path_factory):
    """benchmark -> (figures, folder) of the single device, one item at a time."""
    return evaluated(single, data, tmp_path_factory.mktemp("alone"), batch=1)


@pytest.fixture(scope="module", autouse=True)
def short_answers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vqa_file, "LONGEST_ANSWER", 12)
        yield


def evaluated(model, data, home, batch):
    found = {}
    for benchmark, file in data.items():
        bench, out = benchmark.Benchmark(file), home / benchmark.__name__
        bench.answer(model, out, options.Options(batch=batch))
        found[benchmark] = bench.score(out), out
    return found


def same(path, other):
    """Whether two files of answers or embeddings hold the same, within rounding."""
    if path.suffix == ".npz":
        one, two = (np.load(p, allow_pickle=False) for p in (path, other))
        rows = one["images"].shape[0], one["captions"].shape[0]
        close = [np.allclose(one[n], two[n], atol=1e-5) for n in ("images", "captions")]
        return rows == (COUNT, 2 * COUNT) and all(close)
    one, two = files.read(path), files.read(other)
    for record, twin in zip(one, two, strict=True):
        if (p := record.pop("log_probability", None)) is not None:
            assert twin.pop("log_probability") == pytest.approx(p, rel=1e-4)
    return len(one) == COUNT and one == two


def test_figures_and_answers_are_those_of_one_device(several, alone, data, tmp_path):
    model, benchmarks = several
    assert model.engine.parts in (4, 8)
    chosen = {benchmark: data[benchmark] for benchmark in benchmarks}
    found = evaluated(model, chosen, tmp_path, batch=4)
    for benchmark, (figures, out) in found.items():
        wanted, before = alone[benchmark]
        assert figures == pytest.approx(wanted, rel=1e-4), benchmark
        (file,) = (p for p in before.iterdir() if "_0_of_1" in p.name)
        assert same(file, out / file.name), file


def test_answers_tell_the_items_apart(alone):
    """Else the test above would compare one answer with itself."""
    for benchmark, name in ((vqa_file, "given"), (captioning, "caption")):
        answers = files.read(alone[benchmark][1] / "answers_0_of_1.jsonl")
        assert len({record[name] for record in answers}) > COUNT // 2
