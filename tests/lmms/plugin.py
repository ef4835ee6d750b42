"""lmms-eval itself, with our models, on questions of the shapes world.

Not among the tests that pytest collects, as lmms-eval brings torch and much else:

    BRIDGE_JAX_LMMS=1 bash launch/test.sh
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bridge_jax
from bridge_jax.data import thinking
from bridge_jax.eval.tasks import understanding

COUNT, PER_PICTURE = 48, 4
CHOICES = ("red", "green", "blue", "yellow")
TASKS = {
    "shapes_questions": """
task: shapes_questions
output_type: generate_until
doc_to_visual: !function documents.pictures
doc_to_text: question
doc_to_target: answer
generation_kwargs: {max_new_tokens: 12, until: []}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
""",
    "shapes_sampled": """
task: shapes_sampled
output_type: generate_until
doc_to_visual: !function documents.pictures
doc_to_text: question
doc_to_target: answer
generation_kwargs: {max_new_tokens: 12, temperature: 0.7, do_sample: true, num_beams: 3}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
""",
    "shapes_choices": """
task: shapes_choices
output_type: multiple_choice
doc_to_visual: !function documents.pictures
doc_to_text: question
doc_to_choice: choices
doc_to_target: number
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
}
DOCUMENTS = """
from PIL import Image


def pictures(document):
    return [Image.open(document["picture"]).convert("RGB")]
"""
ONE_OF_TWO = Path(__file__).with_name("one_of_two.py")


@pytest.fixture(scope="module")
def asked():
    return understanding.questions("test", COUNT, PER_PICTURE)


@pytest.fixture(scope="module")
def tasks(asked, tmp_path_factory):
    """A folder with tasks of lmms-eval and their documents."""
    home = tmp_path_factory.mktemp("tasks")
    rows, choices = [], []
    for number, (_, picture, one) in enumerate(asked):
        path = home / f"{number}.png"
        Image.fromarray(picture).save(path)
        row = {"picture": str(path), "question": one.question, "answer": one.answer}
        rows.append(row)
        if one.answer in CHOICES:
            number = CHOICES.index(one.answer)
            choices.append(row | {"choices": list(CHOICES), "number": number})
    write(home, "shapes_questions", rows)
    write(home, "shapes_sampled", rows[:2])
    write(home, "shapes_choices", choices)
    (home / "documents.py").write_text(DOCUMENTS)
    return home


def write(home: Path, name: str, rows: list[dict]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (home / f"{name}.jsonl").write_text(lines)
    where = json.dumps({"data_files": {"test": str(home / f"{name}.jsonl")}})
    data = f"dataset_path: json\ndataset_kwargs: {where}\ntest_split: test\n"
    (home / f"{name}.yaml").write_text(data + TASKS[name])


@pytest.fixture(scope="module")
def model():
    return bridge_jax.load("shapes-tiny")


def offline(home):
    """The environment of a run that finds all its documents here."""
    hub = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(home)}
    return dict(os.environ) | hub


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def lmms_eval(home, task, out, *flags, model_args=""):
    """Run its command line: (results, samples of the task, what it said)."""
    model_args = f"pretrained=shapes-tiny{model_args}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lmms_eval"),
            *("--model", "bridge_jax", "--model_args", model_args),
            *("--tasks", task, "--include_path", str(home)),
            *("--batch_size", "16", "--log_samples", "--output_path", str(out)),
            *flags,
        ],
        env=offline(home),
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    said = done.stdout + done.stderr
    found = sorted(out.rglob("*_results.json"))
    if not found:
        return None, None, said
    results = json.loads(found[-1].read_text())["results"][task]
    [file] = out.rglob(f"*_samples_{task}.jsonl")
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    return results, sorted(samples, key=lambda one: one["doc_id"]), said


def our_answers(model, asked, think=False):
    found = model.chat(
        [picture for _, picture, _ in asked],
        [one.question for _, _, one in asked],
        think=think,
        max_new_tokens=12 + think * thinking.ROOM,
    )
    return [one.conclusion if think else one.text for one in found]


@pytest.mark.parametrize("flags", [(), ("--force_simple",)], ids=["chat", "simple"])
def test_it_scores_as_we_do(tasks, asked, model, tmp_path, flags):
    """On eight devices, and ours on one: the same answers, one by one."""
    results, samples, said = lmms_eval(tasks, "shapes_questions", tmp_path, *flags)
    assert results is not None, said
    ours = our_answers(model, asked)
    assert [one["filtered_resps"] for one in samples] == ours
    right = [
        understanding.matches(text, one.answer)
        for text, (_, _, one) in zip(ours, asked, strict=True)
    ]
    assert len(samples) == COUNT and np.mean(right) > 0.8
    assert results["exact_match,none"] == pytest.approx(np.mean(right))


def test_it_may_be_asked_to_think(tasks, asked, model, tmp_path):
    flags = ("--limit", "16")
    results, samples, said = lmms_eval(
        tasks, "shapes_questions", tmp_path, *flags, model_args=",think=True"
    )
    assert results is not None, said
    given = [one["filtered_resps"] for one in samples]
    assert given == our_answers(model, asked[:16], think=True)
    assert given != our_answers(model, asked[:16])


@pytest.mark.parametrize("acquainted", [False, True], ids=["apart", "one jax"])
def test_two_processes_score_as_one(tasks, asked, model, tmp_path, acquainted):
    """47 questions, so that one process has one fewer and is given one again."""
    address = f"127.0.0.1:{free_port()}" if acquainted else ""
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = subprocess.run(
        [sys.executable, *launch, str(ONE_OF_TWO), str(tasks), address],
        cwd=tmp_path,
        env=offline(tasks) | {"ACCELERATE_USE_CPU": "true"},
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [(tmp_path / f"{rank}.count").read_text() for rank in (0, 1)]
    assert counts == ["24", "24"]  # of 23 one is asked again
    found = json.loads((tmp_path / "found.json").read_text())
    assert [number for number, _ in found] == list(range(47))
    assert [text for _, text in found] == our_answers(model, asked[:47])


def test_what_cannot_be_done_is_said(tasks, tmp_path):
    _, _, said = lmms_eval(tasks, "shapes_sampled", tmp_path / "a")
    assert "num_beams 3, but there is no beam search" in said
    _, _, said = lmms_eval(
        tasks, "shapes_questions", tmp_path / "b", model_args=",pretraned=x"
    )
    assert "no argument 'pretraned' (did you mean 'pretrained'?)" in said


def test_choices_are_ranked_by_our_losses(tasks, model, tmp_path):
    results, samples, said = lmms_eval(
        tasks, "shapes_choices", tmp_path, "--force_simple"
    )
    assert results is not None, said
    rows = (tasks / "shapes_choices.jsonl").read_text().splitlines()
    rows = [json.loads(row) for row in rows]
    scores = model.likelihood(
        [row["question"] for row in rows for _ in CHOICES],
        [choice for _ in rows for choice in CHOICES],
        [row["picture"] for row in rows for _ in CHOICES],
    )
    ours = np.array([-one.log_probability / one.tokens for one in scores])
    ours = ours.reshape(len(rows), len(CHOICES))
    right = ours.argmin(axis=1) == [row["number"] for row in rows]
    assert len(samples) == len(rows) > 2 and right.mean() > 0.5
    assert results["acc,none"] == pytest.approx(right.mean())
    theirs = [[float(loss) for loss, _ in s["filtered_resps"]] for s in samples]
    np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-5)
    greedy = [[begins for _, begins in s["filtered_resps"]] for s in samples]
    assert greedy == np.where(ours < np.log(2), "True", "False").tolist()
