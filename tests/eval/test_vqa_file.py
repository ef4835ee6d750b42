"""Questions from a file: read, asked in shards, scored once each."""

import benchmark_files as files
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import options
from bridge_jax.eval.benchmarks import vqa_file
from bridge_jax.eval.outside.shards import Shard

OPTIONS = options.Options(batch=3)
COUNT = 11


@pytest.fixture
def data(tmp_path):
    """Item i shows colour i, and i is the answer; every other one is "even"."""
    for i in range(COUNT):
        files.picture(tmp_path / f"in/{i}.png", i)
    records = [
        {
            "id": i,
            "image": f"in/{i}.png",
            "question": f"Which {i}?",
            "answer": f"{i}",
            "kind": ("even", "odd")[i % 2],
        }
        for i in range(COUNT)
    ]
    return files.lines(tmp_path / "data.jsonl", records)


def test_answers_are_scored_over_all_and_over_kinds(data, tmp_path):
    bench = vqa_file.Benchmark(data)
    model = files.Reader(lambda colour, question: f" {colour % 10}")  # 10 -> 0
    bench.answer(model, tmp_path / "out", OPTIONS)
    assert model.asked == [3, 3, 3, 3]  # the twelfth row is filling
    figures = bench.score(tmp_path / "out", None)
    assert figures == {
        "exact_match": pytest.approx(10 / 11),
        "exact_match/even": pytest.approx(5 / 6),
        "exact_match/odd": 1.0,
    }
    scores = files.read(tmp_path / "out" / "scores.jsonl")
    assert [record["id"] for record in scores] == [str(i) for i in range(COUNT)]
    assert scores[10] == {"id": "10", "given": " 0", "exact_match": 0.0}


def test_what_a_thought_concludes_is_scored(data, tmp_path):
    bench, out = vqa_file.Benchmark(data), tmp_path / "out"
    bench.answer(files.Reader(), out, options.Options(batch=3, think=True))
    assert bench.score(out, None)["exact_match"] == 1.0
    [first, *_] = files.read(out / "answers_0_of_1.jsonl")
    assert (first["said"], first["given"]) == ("hm: 0", "0")


def test_shards_give_what_one_process_gives(data, tmp_path):
    bench, model = vqa_file.Benchmark(data), files.Reader()
    for index in range(3):
        bench.answer(model, tmp_path / "three", OPTIONS, Shard(index, 3))
    bench.answer(model, tmp_path / "one", OPTIONS)
    assert len(list((tmp_path / "three").iterdir())) == 3
    figures = bench.score(tmp_path / "three", None)
    assert figures == bench.score(tmp_path / "one", None)
    assert figures["exact_match"] == 1.0
    one, three = (tmp_path / name / "scores.jsonl" for name in ("one", "three"))
    assert one.read_bytes() == three.read_bytes()


def test_every_answer_counts_once(data, tmp_path):
    bench, model, out = vqa_file.Benchmark(data), files.Reader(), tmp_path / "out"
    with pytest.raises(BridgeError, match="no answers to score"):
        bench.score(out, None)
    bench.answer(model, out, OPTIONS, Shard(0, 4))
    bench.answer(model, out, OPTIONS, Shard(3, 4))
    with pytest.raises(BridgeError, match=r"no answer to 6 \(1, 2, 5, 6, 9, 10\)") as e:
        bench.score(out, None)
    assert "of shard 1/4, 2/4" in str(e.value)
    bench.answer(model, out, OPTIONS, Shard(1, 2))
    words = r"no answer to 3 \(2, 6, 10\).*more than one answer to 2 \(3, 7\): keep one"
    with pytest.raises(BridgeError, match=words) as error:
        bench.score(out, None)
    assert "answers_1_of_2.jsonl, answers_3_of_4.jsonl" in str(error.value)


def test_an_interrupted_shard_goes_on(data, tmp_path):
    bench, out = vqa_file.Benchmark(data), tmp_path / "out"

    class Stops(files.Reader):
        def chat(self, *given, **settings):
            if len(self.asked) == 2:
                raise KeyboardInterrupt
            return super().chat(*given, **settings)

    with pytest.raises(KeyboardInterrupt):
        bench.answer(Stops(), out, OPTIONS)
    path = out / "answers_0_of_1.jsonl"
    assert len(files.read(path)) == 6
    path.write_bytes(path.read_bytes()[:-9])  # the disk was full, say
    model = files.Reader()
    bench.answer(model, out, OPTIONS)
    assert sum(model.asked) == 6 and bench.score(out, None)["exact_match"] == 1.0
    again = files.Reader()
    bench.answer(again, out, OPTIONS)
    assert again.asked == []


def test_answers_to_other_questions_do_not_count(data, tmp_path):
    out = tmp_path / "out"
    vqa_file.Benchmark(data).answer(files.Reader(), out, OPTIONS)
    records = files.read(data)
    # What is right may be mended afterwards; what was asked may not.
    records[2]["answer"] = "other"
    files.lines(data, records)
    bench = vqa_file.Benchmark(data)
    assert bench.score(out, None)["exact_match"] == pytest.approx(10 / 11)
    records[2]["question"] = "Other?"
    files.lines(data, records)
    bench = vqa_file.Benchmark(data)
    with pytest.raises(BridgeError, match=r"jsonl:3: answers another item 2"):
        bench.score(out, None)
    with pytest.raises(BridgeError, match="another item"):
        bench.answer(files.Reader(), out, OPTIONS)
    (out / "answers_0_of_1.jsonl").write_text("[]\n")
    with pytest.raises(BridgeError, match=r"jsonl:1: is no answer"):
        bench.score(out, None)


def test_options_are_lettered_and_letters_are_read(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    record = {"image": "a.png", "question": "Which?", "choices": ["red", "blue"]}
    data = files.lines(
        tmp_path / "d.jsonl", [record | {"answer": "B"}, record | {"answer": "red"}]
    )
    asked = []

    def say(colour, question):
        asked.append(question)
        return "B. blue"

    bench = vqa_file.Benchmark(data)
    bench.answer(files.Reader(say), tmp_path / "out", OPTIONS)
    assert asked[0].startswith("Which?\nA. red\nB. blue\nAnswer with the option's")
    assert bench.score(tmp_path / "out", None) == {"multiple_choice": 0.5}
    assert bench.score(tmp_path / "out", "exact_match") == {"exact_match": 0.0}


def test_the_metric_follows_from_the_data(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    record = {"image": "a.png", "question": "Which?"}
    ten = record | {"answers": ["yes"] * 10}
    data = files.lines(tmp_path / "d.jsonl", [ten, ten])
    assert vqa_file.Benchmark(data).metric == "vqa_accuracy"
    data = files.lines(tmp_path / "d.jsonl", [ten, record | {"answer": "no"}])
    bench = vqa_file.Benchmark(data)
    assert bench.metric == "exact_match"
    with pytest.raises(BridgeError, match=r"d.jsonl:2: vqa_accuracy needs"):
        bench.score(tmp_path, "vqa_accuracy")
    with pytest.raises(BridgeError, match=r"scorer: .*did you mean 'anls'"):
        bench.score(tmp_path, "anl")


def test_mistakes_come_all_at_once_with_their_lines(tmp_path):
    files.picture(tmp_path / "a.png", 1)
    good = {"image": "a.png", "question": "Which?", "answer": "red"}
    records = [
        good | {"id": 1},
        "{",
        good | {"id": 1},
        good | {"image": "b.png"},
        good | {"question": " "},
        good | {"answers": ["red"]},
        {"image": 3, "question": "Which?", "answers": []},
        good | {"choices": ["red", "red"]},
    ]
    with pytest.raises(BridgeError) as error:
        vqa_file.Benchmark(files.lines(tmp_path / "d.jsonl", records))
    said = str(error.value)
    assert "\n" not in said
    for line in range(2, 9):
        assert f"d.jsonl:{line}: " in said
    assert "d.jsonl:1: " not in said
    with pytest.raises(BridgeError, match="cannot read"):
        vqa_file.Benchmark(tmp_path / "nowhere.jsonl")


def test_damaged_pictures_are_named_once(data, tmp_path):
    for name in ("in/9.png", "in/10.png"):
        (tmp_path / name).write_bytes(b"GIF89a")
    out = tmp_path / "out"
    with pytest.raises(BridgeError, match=r"9.png.*10.png") as error:
        vqa_file.Benchmark(data).answer(files.Reader(), out, OPTIONS)
    assert str(error.value).count("10.png") == 1
    assert len(files.read(out / "answers_0_of_1.jsonl")) == 9
