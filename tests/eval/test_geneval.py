"""GenEval from its file: drawn in its layout, judged by three judges, shared out."""

import json
import shutil

import numpy as np
import oracle
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.eval import provenance
from bridge_jax.eval.benchmarks import geneval
from bridge_jax.eval.outside import run as outside
from bridge_jax.eval.outside.shards import Shard

FEW = {"images_per_prompt": 2, "batch": 8, "steps": 3}


def write(path, prompts):
    path.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two prompts a tag, in GenEval's format, the last of them a second time."""
    prompts = shapes_world.geneval_prompts("test", 2)
    return write(tmp_path_factory.mktemp("data") / "e.jsonl", [*prompts, prompts[-1]])


@pytest.fixture(scope="module")
def drawn(data, tmp_path_factory):
    """A folder that the model of the truth has drawn into."""
    out = tmp_path_factory.mktemp("drawn") / "out"
    outside.answer(oracle.Oracle(), "geneval", data, out, **FEW)
    return out


@pytest.fixture
def out(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "out")


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.png")}


def spoil(out, name):
    Image.fromarray(oracle.noise(0, 1)[0]).save(out / "geneval" / name)


def test_folders_are_as_published(out, data):
    folder = out / "geneval"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{i:05}" for i in range(13)]
    place = folder / "00003"
    assert sorted(p.name for p in (place / "samples").iterdir()) == [
        "0000.png",
        "0001.png",
    ]
    line = json.loads(data.read_text().splitlines()[3])
    assert json.loads((place / "metadata.jsonl").read_text()) == line
    assert (place / "grid.png").is_file()


def test_the_truth_scores_one_and_a_wrong_picture_counts_once(out, data):
    figures = outside.figures(outside.score("geneval", data, out, "shapes"), "geneval")
    assert set(figures.values()) == {1.0} and len(figures) == 3 + 6
    spoil(out, "00000/samples/0001.png")
    metrics = outside.score("geneval", data, out, "shapes")
    assert metrics["geneval/single_object"] == 3 / 4
    assert metrics["geneval/overall"] == pytest.approx(1 - 1 / 4 / 6)
    assert metrics["geneval/correct_images"] == pytest.approx(25 / 26)
    assert metrics["geneval/correct_prompts"] == 1.0
    assert json.loads((out / "metrics.json").read_text()) == metrics


def test_the_record_holds_what_it_was_made_with(out, data):
    metrics = outside.score("geneval", data, out, "shapes")
    about = metrics["settings"]["benchmarks"]["geneval"]
    assert about["weights"] == provenance.weights_hash(oracle.Oracle().params)
    assert metrics["settings"]["model"] == {"part": "oracle"}
    assert about["dtype"] == "float32" and about["scorer"] == "shapes"
    assert {"bridge_jax", "jax", "flax"} <= set(about["versions"])
    assert about["sha256"] == provenance.data_hash(data) and len(about["sha256"]) == 64
    wanted = {"seed": 0, "sampler": "dpm", "steps": 3, "guidance": 2.0, "rewrite": True}
    assert about["options"].items() >= wanted.items()
    assert "scenes" not in about["options"]


def test_shards_and_interruptions_write_what_one_run_writes(drawn, data, tmp_path):
    out = tmp_path / "out"
    for index in (2, 0, 1):
        shard = Shard(index, 3)
        outside.answer(oracle.Oracle(), "geneval", data, out, shard=shard, **FEW)
    assert files(out) == files(drawn)
    shutil.rmtree(out / "geneval" / "00012")
    half = out / "geneval" / "00012.partial" / "samples"
    half.mkdir(parents=True)
    (half / "0007.png").write_bytes(b"")
    with pytest.raises(BridgeError, match="lacks 1 of 13 prompts, 00012"):
        outside.score("geneval", data, out, "shapes")
    model = oracle.Oracle()
    outside.answer(model, "geneval", data, out, **FEW)
    assert files(out) == files(drawn) and model.calls == 1
    outside.answer(model, "geneval", data, out, **FEW)
    assert model.calls == 1


def test_a_prompt_that_stands_twice_is_drawn_twice(drawn):
    """With other noise, as they are two samples."""
    seen = []

    class Listening(oracle.Oracle):
        def generate(self, prompts, *, seed, **settings):
            seen.append((seed, len(prompts), len(set(prompts))))
            return super().generate(prompts, seed=seed, **settings)

    one = {"tag": "single_object", "include": [{"class": "star", "count": 1}]}
    prompt = one | {"prompt": "a photo of a star"}
    data = write(drawn.parent / "twice.jsonl", [prompt, prompt])
    outside.answer(Listening(), "geneval", data, drawn.parent / "twice", **FEW)
    assert seen == [(0, 1, 1), (1, 1, 1)]


def official(out, **more):
    """What GenEval's evaluator writes of a folder, as pandas writes it."""
    lines = []
    for path in sorted((out / "geneval").glob("*/samples/*.png")):
        prompt = json.loads((path.parents[1] / "metadata.jsonl").read_text())
        line = {"filename": f"elsewhere/images/{'/'.join(path.parts[-3:])}"}
        line |= {"tag": prompt["tag"], "prompt": prompt["prompt"], "correct": True}
        line |= {"reason": "", "metadata": json.dumps(prompt), "details": "{}"}
        lines.append(line | more)
    return lines


def test_results_of_the_official_evaluator(out, data, tmp_path):
    lines = official(out)
    lines[0]["correct"] = lines[1]["correct"] = False
    results = write(tmp_path / "results.jsonl", lines[::-1])
    metrics = outside.score("geneval", data, out, f"geneval_results:{results}")
    assert metrics["geneval/single_object"] == 1 / 2
    assert metrics["geneval/overall"] == pytest.approx(1 - 1 / 2 / 6)
    # Equal lines of the metadata are one prompt, as in the official summary.
    assert metrics["geneval/correct_prompts"] == pytest.approx(11 / 12)


def test_results_of_other_pictures_are_refused(out, data, tmp_path):
    lines = official(out)
    lines[1] |= {"prompt": "a photo of a bench"}
    lines.append(lines[5])
    lines.append({"filename": "x/00099/samples/0000.png", "correct": True})
    lines.append({"filename": "x"})
    results = write(tmp_path / "results.jsonl", lines)
    with pytest.raises(BridgeError) as error:
        outside.score("geneval", data, out, f"geneval_results:{results}")
    for words in ("4 mistakes", ":2:", "another prompt", "twice", "00099", "correct"):
        assert words in str(error.value)
    write(results, official(out)[3:])
    with pytest.raises(BridgeError, match="nothing of 3 of 26.*00000/samples/0000"):
        outside.score("geneval", data, out, f"geneval_results:{results}")
    assert not (out / "metrics.json").exists()


def test_a_judge_that_is_not_there_is_told(out, data, tmp_path):
    for scorer, words in {
        None: "evaluate_images.py",
        "geneval_results": "results.jsonl",
        "geneval_results:none.jsonl": "none.jsonl.*filename",
        "recorded:": '"picture"',
        "shape": "shapes",
    }.items():
        with pytest.raises(BridgeError, match=words):
            outside.score("geneval", data, out, scorer)


def test_shapes_are_not_asked_for_benches(tmp_path):
    bench = {"class": "bench", "count": 1, "color": "pink"}
    prompt = {"tag": "colors", "include": [bench], "prompt": "a pink bench"}
    data = write(tmp_path / "e.jsonl", [prompt])

    class Any(oracle.Oracle):
        def generate(self, prompts, **_):
            return oracle.Noise.generate(
                oracle.Noise(), prompts, images_per_prompt=1, seed=0
            )

    outside.answer(Any(), "geneval", data, tmp_path / "out", **FEW)
    with pytest.raises(BridgeError, match="bench, pink.*geneval_results"):
        outside.score("geneval", data, tmp_path / "out", "shapes")


def test_mistakes_in_the_data_come_all_at_once(tmp_path):
    thing = {"class": "star", "count": 1}
    good = {"tag": "t", "include": [thing], "prompt": "a star"}
    path = write(
        tmp_path / "bad.jsonl",
        [
            good,
            good | {"prompt": " "},
            good | {"include": []},
            good | {"include": [thing | {"count": 0}, thing | {"class": 3}]},
            good | {"include": [thing | {"position": ["left of", 0]}]},
            good | {"include": [thing, thing | {"position": ["left of", 1]}]},
            good | {"exclude": [7]},
        ],
    )
    path.write_text(path.read_text() + "[1]\n{\n")
    with pytest.raises(BridgeError) as error:
        geneval.Benchmark(path)
    said = str(error.value)
    assert all(f"bad.jsonl:{line}:" in said for line in range(2, 10)), said
    assert "bad.jsonl:1:" not in said and "9 mistakes" in said
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(BridgeError, match="holds no line"):
        geneval.Benchmark(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(BridgeError, match="UTF-8"):
        geneval.Benchmark(tmp_path / "latin.jsonl")
    with pytest.raises(BridgeError, match="cannot read"):
        geneval.Benchmark(tmp_path)


def test_answers_made_otherwise_do_not_mix(out, data, tmp_path):
    with pytest.raises(BridgeError, match="steps 3 and not 9"):
        outside.answer(oracle.Oracle(), "geneval", data, out, **FEW | {"steps": 9})
    text = FEW | {"conditions": ("text",)}
    with pytest.raises(BridgeError, match="condition 'queries' and not 'text'"):
        outside.answer(oracle.Oracle(), "geneval", data, out, **text)
    with pytest.raises(BridgeError, match="other weights"):
        outside.answer(oracle.Noise(), "geneval", data, out, **FEW)
    other = write(tmp_path / "other.jsonl", shapes_world.geneval_prompts("test", 1))
    with pytest.raises(BridgeError, match="other data"):
        outside.answer(oracle.Oracle(), "geneval", other, out, **FEW)
    with pytest.raises(BridgeError, match="other data"):
        outside.score("geneval", other, out, "shapes")
    with pytest.raises(BridgeError, match="--only answer first"):
        outside.score("geneval", data, tmp_path / "nowhere", "shapes")
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BridgeError, match="something else"):
        outside.answer(oracle.Oracle(), "geneval", data, tmp_path, **FEW)


def test_a_benchmark_and_tasks_share_a_folder(out, data):
    from bridge_jax.eval import run

    small = {"questions": 8, "batch": 8}
    run.evaluate(oracle.Oracle(), ("vqa",), "test", out, **small)
    metrics = outside.score("geneval", data, out, "shapes")
    assert {"vqa/exact_match", "geneval/overall"} <= set(metrics)
    assert metrics["settings"]["split"] == "test"
    again = run.evaluate(oracle.Oracle(), ("vqa",), "test", out, resume=True, **small)
    assert again["geneval/overall"] == 1.0
    assert again["settings"]["benchmarks"] == metrics["settings"]["benchmarks"]
    task = again["settings"]["tasks"]["vqa"]
    assert task["dtype"] == "float32" and task["options"]["rewrite"] is True
    assert "bridge_jax" in task["versions"]


def test_benchmarks_from_outside_the_package(tmp_path, monkeypatch):
    (tmp_path / "ours_bench.py").write_text(
        "class Benchmark:\n"
        "    def __init__(self, data): self.text = data.read_text()\n"
        "    def answer(self, model, folder, options, shard):\n"
        "        (folder / 'a.txt').write_text(self.text)\n"
        "    def score(self, folder, scorer):\n"
        "        return {scorer: float(len((folder / 'a.txt').read_text()))}\n"
    )
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "ours_bench.py").rename(tmp_path / "package" / "ours_bench.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    data = tmp_path / "data.txt"
    data.write_text("four")
    out = tmp_path / "out"
    outside.answer(oracle.Oracle(), "package.ours_bench", data, out)
    metrics = outside.score("package.ours_bench", data, out, "length")
    assert metrics["ours_bench/length"] == 4.0
    with pytest.raises(BridgeError, match="geneval"):
        outside.opened("genevall", data)
    with pytest.raises(BridgeError, match="no such file"):
        outside.opened("geneval", tmp_path / "none")


def test_hash_of_a_folder_sees_names_and_bytes(tmp_path):
    hashes = set()
    for name, text in (("a", "1"), ("b", "1"), ("a", "2"), ("c/a", "1")):
        folder = tmp_path / str(len(hashes))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
        hashes.add(provenance.data_hash(folder))
    assert len(hashes) == 4
    assert np.unique([len(one) for one in hashes]) == 64
