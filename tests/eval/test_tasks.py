"""What each task counts as right."""

import dataclasses
import json
import shutil

import numpy as np
import oracle
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import language
from bridge_jax.eval import batches, options, records
from bridge_jax.eval.tasks import (
    consistency,
    editing,
    generation,
    reconstruction,
    retrieval,
    understanding,
)
from bridge_jax.inference import results

SMALL = options.Options(
    prompts_per_tag=1, images_per_prompt=2, edits=6, scenes=12, batch=5
)


def test_answers_match_but_for_case_and_space():
    assert understanding.matches(" Red\n", "red")
    assert not understanding.matches("red circle", "red")
    assert not understanding.matches("", "no")


class Thinker(oracle.Oracle):
    """Says something before the truth, if it is asked to."""

    def chat(self, images, questions, max_new_tokens, think=False):
        answers = super().chat(images, questions, max_new_tokens)
        self.thought = think
        if not think:
            return answers
        words = [f"left: or so:{answer.text}" for answer in answers]
        return [results.Answer(text, np.zeros(0, np.int32), True) for text in words]


@pytest.mark.parametrize("think", [False, True])
def test_what_is_concluded_is_judged(tmp_path, think):
    model, chosen = Thinker(), options.Options(questions=24, batch=5, think=think)
    figures = understanding.evaluate(model, "test", tmp_path, chosen)
    assert figures["exact_match"] == 1.0 and model.thought == think
    [first, *_] = records.read_lines(tmp_path / "answers.jsonl")
    assert first["given"].strip().lower() == first["answer"]
    said = f"left: or so: {first['answer'].upper()}"
    assert first.get("said") == (said if think else None)
    chosen = dataclasses.replace(chosen, chains=3, cycles=1)
    figures = consistency.evaluate(model, "test", tmp_path, chosen)
    assert figures["text_image_text/answered"] == 1.0 and model.thought == think


def test_batches_have_one_size_and_count_every_item_once():
    made = list(batches.batches(list(range(11)), 4, "test"))
    assert {len(rows) for _, rows, _ in made} == {4}
    assert [x for _, rows, real in made for x in rows[:real]] == list(range(11))
    assert list(batches.batches([], 4, "test")) == []


def test_a_folder_is_scored_without_a_model(tmp_path):
    generation.evaluate(oracle.Oracle(), "test", tmp_path, SMALL)
    folder = tmp_path / "queries"
    assert generation.score(folder)["mean"] == 1.0
    sample = folder / "00003" / "samples" / "0000.png"
    Image.fromarray(oracle.noise(0, 1)[0]).save(sample)
    figures = generation.score(folder)
    assert figures["colors"] == 0.5 and figures["single_object"] == 1.0
    assert figures["mean"] == pytest.approx(1 - 0.5 / 6)
    assert figures["caption_right"] == 1.0
    assert figures["picture_as_caption"] == pytest.approx(11 / 12)


def test_what_is_missing_of_a_picture_is_told(tmp_path):
    generation.evaluate(oracle.Oracle(), "test", tmp_path, SMALL)
    folder = tmp_path / "queries"
    sample = folder / "00001" / "samples" / "0000.png"  # two objects
    scene = records.read_shapes(sample)
    assert len(scene.objects) == 2
    other = next(name for name in shapes_world.BACKGROUNDS if name != scene.background)
    changed = dataclasses.replace(scene, background=other, objects=scene.objects[:1])
    records.write_picture(sample, shapes_world.render(changed))
    figures = generation.score(folder)
    assert figures["objects_right"] == pytest.approx(1 - 0.5 / 12)
    assert figures["background_right"] == pytest.approx(11 / 12)
    assert figures["picture_as_caption"] == pytest.approx(11 / 12)


def test_pictures_of_others_need_no_drawing_json(tmp_path):
    generation.evaluate(oracle.Oracle(), "test", tmp_path, SMALL)
    for path in tmp_path.glob("text/*/drawing.json"):
        path.unlink()
    figures = generation.score(tmp_path / "text")
    assert figures["mean"] == 1.0 and "caption_right" not in figures


def test_large_pictures_are_scaled_down(tmp_path):
    generation.evaluate(oracle.Oracle(), "test", tmp_path, SMALL)
    for path in tmp_path.glob("queries/*/samples/*.png"):
        Image.open(path).resize((256, 256), Image.Resampling.NEAREST).save(path)
    assert generation.score(tmp_path / "queries")["mean"] == 1.0


def test_an_unchanged_picture_is_no_edit(tmp_path):
    wanted = editing.edits("test", 6)
    assert [edit.kind for edit in wanted] == list(editing.edits_lib.KINDS)
    editing.make(oracle.Oracle(), wanted, tmp_path, SMALL)
    for place in tmp_path.glob("0*"):
        shutil.copy(place / "source.png", place / "samples" / "0000.png")
    figures = editing.score(tmp_path)
    assert figures["success"] == 0.0 and figures["caption_right"] == 1.0
    assert figures["background_right"] == pytest.approx(5 / 6)
    assert 0.3 < figures["objects_right"] < 1.0


def test_broken_folders_are_told(tmp_path):
    with pytest.raises(BridgeError, match="no numbered folders"):
        generation.score(tmp_path)
    editing.make(oracle.Oracle(), editing.edits("test", 1), tmp_path, SMALL)
    (tmp_path / "00000" / "samples" / "0000.png").write_bytes(b"")
    with pytest.raises(BridgeError, match="empty"):
        editing.score(tmp_path)
    (tmp_path / "00000" / "metadata.jsonl").write_text("{")
    with pytest.raises(BridgeError, match="cannot read"):
        editing.score(tmp_path)


def test_recall():
    similarity = np.array([[3.0, 1, 2], [9, 5, 4], [1, 2, 0]])
    assert retrieval.recall(similarity, np.arange(3)) == {1: 1 / 3, 5: 1.0, 10: 1.0}
    ties = np.ones((20, 20))
    assert retrieval.recall(ties, np.arange(20)) == {1: 0.0, 5: 0.0, 10: 0.0}
    assert retrieval.recall(ties * np.nan, np.arange(20))[10] == 0.0
    # Rows 0 and 1 have equal captions: either is right for both.
    assert retrieval.recall(similarity, np.array([0, 0, 2]))[1] == 2 / 3


def test_other_caption_styles(tmp_path):
    class Sighted(oracle.Oracle):
        def embed(self, images=None, texts=None):
            if images is None:
                return super().embed(texts=texts)
            scenes = [shapes_world.read_scene(image).scene for image in images]
            return super().embed(
                texts=[shapes_world.STYLES["shapes"](s) for s in scenes]
            )

    chosen = options.Options(scenes=40, captions="shapes", batch=64)
    figures = retrieval.evaluate(Sighted(), "test", tmp_path, chosen)
    assert figures["t2i_r1"] == figures["i2t_r1"] == 1.0
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    assert len({json.loads(line)["caption"] for line in lines}) < 40


def test_what_is_forgotten_breaks_a_chain_for_good(tmp_path):
    class Forgetful(oracle.Oracle):
        """Leaves out the last of several objects."""

        def describe(self, images):
            scenes = [shapes_world.read_scene(image).scene for image in images]
            return [
                language.canonical(
                    dataclasses.replace(s, objects=s.objects[:-1] or s.objects)
                )
                for s in scenes
            ]

    settings = dataclasses.replace(SMALL, chains=12, cycles=3)
    figures = consistency.evaluate(Forgetful(), "test", tmp_path, settings)
    alone = [
        len(item.scene.objects) == 1
        for item in shapes_world.distinct_scenes("test", settings.chains)
    ]
    for route in consistency.ROUTES:
        kept = [figures[f"{route}/kept_{n}"] for n in (1, 2, 3)]
        assert kept == [sum(alone) / 12] * 3 and 0 < kept[0] < 1
        drift = [figures[f"{route}/drift_{n}"] for n in (1, 3)]
        assert drift[1] > 0 and figures[route] == kept[0]
        lines = (tmp_path / f"{route}.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["kept"] for r in records if r["cycle"] == 3] == alone
        assert len(list(tmp_path.glob(f"{route}/*/*.png"))) == 36
    assert figures["text_image_text/drawn"] == 1.0


def test_what_the_autoencoder_loses(tmp_path):
    class Blurred(oracle.Oracle):
        """Loses one picture altogether, and a level of the others."""

        def reconstruct(self, images):
            shown = [image ^ 1 for image in images]
            return [np.zeros_like(images[0]), *shown[1:]]

    one = dataclasses.replace(SMALL, batch=12)
    figures = reconstruction.evaluate(Blurred(), "test", tmp_path, one)
    assert figures["same"] == pytest.approx(11 / 12)
    lines = (tmp_path / "reconstructed.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [line["same"] for line in found] == [False] + [True] * 11
    assert {line["psnr"] for line in found[1:]} == {20 * np.log10(255)}
    assert figures["psnr"] == pytest.approx(np.mean([line["psnr"] for line in found]))
    assert np.asarray(Image.open(tmp_path / "00000/reconstructed.png")).max() == 0
    assert np.asarray(Image.open(tmp_path / "00000/source.png")).max() > 0
    assert reconstruction.psnr(np.zeros((2, 2, 3)), np.zeros((2, 2, 3))) == 100.0
