"""The shipped bundle: what is in it, what it can do, and what is said of it."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bridge_jax
from bridge_jax.checkpoint import locate, weights_file
from bridge_jax.core import runtime, trees
from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import language
from bridge_jax.eval import provenance
from bridge_jax.eval.pages import published, report, summary
from bridge_jax.eval.tasks import editing, retrieval, understanding
from bridge_jax.inference import results
from bridge_jax.inference.answering import continuous
from bridge_jax.inference.drawing import best_of, captions
from bridge_jax.inference.engine import Engine
from configs import common

README = Path(__file__).parents[2] / "README.md"
NAME = "shapes-tiny"
MOST_BYTES = 24e6
# Here a step takes long; README's figures are of as many as a user gets by default.
HASTY = {"steps": 8, "seed": 3}


@pytest.fixture(scope="module")
def model():
    return bridge_jax.load(NAME)


def test_the_presets_are_small_and_whole():
    files = list(locate.PRESETS.rglob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    assert locate.known() == [NAME, f"{NAME}/stage0"]
    assert weights_file.read_config(locate.locate(NAME))["model"].keys() == {
        *common.TINY
    }


def test_the_stages_changed_the_language_model_alone_and_added_the_aligner():
    shipped, start = (
        trees.flatten(weights_file.load(locate.locate(name), dtype=None))
        for name in (NAME, f"{NAME}/stage0")
    )
    changed = {p for p in start if not np.array_equal(start[p], shipped[p])}
    assert changed and all(path.startswith("vlm/llm/") for path in changed)
    added = {path.split("/")[0] for path in shipped.keys() - start.keys()}
    assert added == {"projector", "aligner", "retrieval"}


def test_the_readmes_figures_are_of_these_weights(model):
    text = README.read_text()
    told = re.sub(
        r"<!-- (figures:longer\w*) -->.*?<!-- /\1 -->", "", text, flags=re.DOTALL
    )
    hashes = re.findall(r"Weights `(\w+)`", told)
    assert len(hashes) == 2 and set(hashes) == {
        provenance.weights_hash(model.params)[: published.HASH]
    }
    rows = [row for row in summary.ROWS if f"| {row.label} |" in told]
    assert len(rows) >= 6


def test_it_answers(model):
    asked = understanding.questions("test", 96, 4)
    answers = model.chat(
        [picture for _, picture, _ in asked],
        [question.question for _, _, question in asked],
        max_new_tokens=understanding.LONGEST_ANSWER,
    )
    right = [
        understanding.matches(answer.text, question.answer)
        for answer, (_, _, question) in zip(answers, asked, strict=True)
    ]
    assert np.mean(right) > 0.93


def test_it_edits(model):
    wanted = editing.edits("test", 24)
    made = model.edit(
        [shapes_world.render(edit.source) for edit in wanted],
        [edit.instruction for edit in wanted],
        **HASTY,
    )
    right = [
        shapes_world.scenes_match(
            shapes_world.read_scene(one.images[0]).scene, edit.target
        ).same
        for edit, one in zip(wanted, made, strict=True)
    ]
    assert np.mean(right) > 0.65


def test_it_draws_what_is_asked_from_learned_queries(model):
    prompts = shapes_world.geneval_prompts("test", 2)
    drawings = model.generate(
        [prompt["prompt"] for prompt in prompts], images_per_prompt=2, **HASTY
    )
    right = [
        shapes_world.geneval_correct(shapes_world.read_scene(image).scene, prompt)
        for prompt, drawing in zip(prompts, drawings, strict=True)
        for image in drawing.images
    ]
    assert len(right) == 24 and np.mean(right) > 0.8


def test_it_keeps_the_picture_that_shows_the_caption(model):
    """Of what an edit makes of a picture and the picture itself."""
    wanted = [edit for edit in editing.edits("heldout", 24) if edit.kind != "remove"]
    drawn, captions_of = [], []
    for number, edit in enumerate(wanted):
        pair = np.stack(
            [shapes_world.render(one) for one in (edit.source, edit.target)]
        )
        drawn.append(pair[:: -1 if number % 2 else 1])
        captions_of.append(results.Caption(language.canonical(edit.target)))
    kept = best_of.kept(model.engine, model.params, drawn, captions_of, 2)
    right = [
        (one[0] == shapes_world.render(edit.target)).all()
        for one, edit in zip(kept, wanted, strict=True)
    ]
    assert len(right) == 20 and np.mean(right) > 0.9


def test_users_draw_the_same(model, tmp_path):
    """With the compiler's optimisations and by its own choices, which tests forgo."""
    prompt = "a red circle and a blue square"
    there = model.generate([prompt], **HASTY)[0].images[0]
    drawn = tmp_path / "out.png"
    command = ["generate", prompt, "--steps", "8", "--seed", "3", "-o", str(drawn)]
    done = subprocess.run(
        [sys.executable, "-m", "bridge_jax", *command],
        env=os.environ | {"XLA_FLAGS": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "0"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with Image.open(drawn) as picture:
        here = np.asarray(picture)
    read = [shapes_world.read_scene(image).scene for image in (here, there)]
    assert shapes_world.scenes_match(*read).same and len(read[0].objects) == 2
    # Rounding grows over the steps, at the edges of objects; one level is a 256th.
    levels = here.astype(int) - there
    assert np.abs(levels).mean() < 1


def test_it_finds(model):
    items = shapes_world.distinct_scenes("test", 100)
    seen = model.embed(images=[item.image for item in items])
    said = model.embed(texts=[item.caption() for item in items])
    found = retrieval.recall(np.asarray(said) @ np.asarray(seen).T, np.arange(100))
    assert found[1] > 0.95


def test_rows_given_anew_write_the_captions_of_batches(model):
    """Of many lengths, in four rows."""
    limits = dataclasses.replace(model.engine.limits, rows=4)
    engine = Engine(model.engine.bundle, model.processor, model.engine.layout, limits)
    source = shapes_world.Source("test", 0, 14)
    prompts = [source[i].rewrite.prompt["prompt"] for i in range(14)]
    batches = captions.rewritten(engine, model.params, prompts)
    found = captions.rewritten(
        engine, model.params, prompts, answers=continuous.answers
    )
    assert found == batches
    assert len({len(one.text.split()) for one in found}) > 3


def test_the_quickstart_from_end_to_end(tmp_path):
    """`bridge quickstart --tiny`: real training, real pictures, a few of each.

    On one device, as a newcomer has it, but for the compiler's optimisations, which so
    few steps do not repay.
    """
    command = ["quickstart", "--tiny", "--workdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "bridge_jax", *command],
        env=runtime.simulated_environment(1),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    for name in ("untrained", "trained", "shipped"):
        for key in ("vqa/exact_match", "generation/queries/mean", "retrieval/t2i_r1"):
            assert 0 <= metrics[f"{name}/{key}"] <= 1
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") > 20
    assert (tmp_path / "first_look.png").is_file()
    for stage in ("stage1", "stage2"):
        weights = weights_file.load(tmp_path / stage / "weights")
        leaves = trees.flatten(weights).values()
        assert all(np.isfinite(leaf).all() for leaf in leaves)
    terms = report.losses(tmp_path / "stage1").keys()
    assert terms == {"loss", "sft"}
    assert "report.html" in done.stdout
