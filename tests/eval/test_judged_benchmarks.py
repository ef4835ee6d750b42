"""DPG-Bench, ImgEdit and GEdit-Bench: published layouts, and what a judge recorded."""

import json
import math

import numpy as np
import oracle
import pytest
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world
from bridge_jax.eval.outside import run as outside
from bridge_jax.eval.outside.shards import Shard
from bridge_jax.eval.tasks import editing

FEW = {"batch": 3, "steps": 2}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def score(name, data, out, judge):
    metrics = outside.score(name, data, out, f"recorded:{judge}")
    return outside.figures(metrics, name)


def answer(name, data, out, model=None, **more):
    outside.answer(model or oracle.Oracle(), name, data, out, **FEW, **more)


CSV = """\
item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,\
tuple,question_natural_language
a1,"a star
and a circle",,1,0,entity,whole,entity - whole (star),Is there a star?
a1,"a star
and a circle",,2,1,attribute,color,"attribute - color (star, red)",Is the star red?
a1,"a star
and a circle",,3,"1,2",relation,spatial,"relation - spatial (star, left)",Is it left?
b,two rings,,1,0,entity,whole,entity - whole (rings),Are there rings?
b,two rings,,2,1,other,count,"other - count (rings, ==2)",Are there two?
"""


@pytest.fixture
def dpg(tmp_path):
    """(data, out) of two prompts, drawn."""
    data, out = tmp_path / "dpg_bench", tmp_path / "out"
    (data / "prompts").mkdir(parents=True)
    for name, prompt in (("a1", "a photo of a star"), ("b", "a photo of two rings\n")):
        (data / "prompts" / f"{name}.txt").write_text(prompt)
    (data / "dpg_bench.csv").write_text(CSV)
    answer("dpg", data, out)
    return data, out


def test_dpg_grids_have_no_gaps(dpg):
    _, out = dpg
    assert sorted(p.name for p in (out / "dpg").iterdir()) == ["a1.png", "b.png"]
    grid = np.asarray(Image.open(out / "dpg" / "b.png"))
    assert grid.shape == (128, 128, 3)
    shown = shapes_world.read_scene(np.ascontiguousarray(grid[64:, 64:])).scene
    assert [thing.shape for thing in shown.objects] == ["ring", "ring"]


def test_dpg_questions_fall_with_those_they_depend_on(dpg, tmp_path):
    data, out = dpg
    yes = {"1": "yes", "2": "Yes", "3": "yes"}
    lines = [
        {
            "picture": "a1.png",
            "answers": [yes | {"1": "no"}, yes, yes, yes | {"2": "no"}],
        },
        {"picture": "b.png", "answers": [{"1": True, "2": False}] * 4},
    ]
    figures = score("dpg", data, out, write(tmp_path / "j.jsonl", lines))
    # 1 answered no takes 2 and 3 with it; 2 takes 3.
    assert figures["dpg/score"] == pytest.approx(
        100 * ((0 + 1 + 1 + 1 / 3) / 4 + 1 / 2) / 2
    )
    # As published: of the last picture, each question for itself.
    wanted = {"entity": 100, "attribute": 0, "relation": 100, "other": 0}
    assert {k.split("/")[2]: v for k, v in figures.items() if "category" in k} == wanted


def test_dpg_takes_scores_alone_and_counts_silence(dpg, tmp_path):
    data, out = dpg
    lines = [
        {"picture": "a1.png", "scores": [1, 0.5, 0, 0.5]},
        {"picture": "b.png", "scores": None},
    ]
    figures = score("dpg", data, out, write(tmp_path / "j.jsonl", lines))
    assert figures == {"dpg/score": 50.0, "dpg/unjudged": 1.0}
    lines[0]["scores"] = None
    with pytest.raises(BridgeError, match="no verdict"):
        score("dpg", data, out, write(tmp_path / "j.jsonl", lines))


def test_dpg_wrong_answers_are_told_at_once(dpg, tmp_path):
    data, out = dpg
    lines = [
        {"picture": "a1.png", "answers": [{"1": "yes", "2": "no"}, {"1": 3}]},
        {"picture": "b.png", "scores": [2] * 4},
        {"picture": "c.png", "scores": [1]},
    ]
    judge = write(tmp_path / "j.jsonl", lines[:2])
    with pytest.raises(BridgeError) as error:
        score("dpg", data, out, judge)
    for words in ("j.jsonl:1: answers 1", "questions 1, 2, 3", ":2:", "from 0 to 1"):
        assert words in str(error.value)
    with pytest.raises(BridgeError, match="j.jsonl:3: .*'c.png' is no picture"):
        score("dpg", data, out, write(judge, lines))
    with pytest.raises(BridgeError, match="1 of 2 pictures, b.png"):
        score("dpg", data, out, write(judge, lines[:1]))
    with pytest.raises(BridgeError, match="-n 5"):
        answer("dpg", data, tmp_path / "five", images_per_prompt=5)


def test_dpg_mistakes_in_data(dpg):
    data, _ = dpg
    (data / "prompts" / "c.txt").write_text(" \n")
    table = CSV.replace("2,1,attribute", "1,x,attribute").replace(
        "b,two rings,,2", "b,two rings,,1"
    )
    (data / "dpg_bench.csv").write_text(table)
    with pytest.raises(BridgeError) as error:
        outside.opened("dpg", data)
    for words in ("c.txt: is empty", "csv:5", "csv:9: b asks 1", "question about c"):
        assert words in str(error.value)
    (data / "dpg_bench.csv").write_text("item_id,text\n")
    with pytest.raises(BridgeError, match="lacks the column proposition_id"):
        outside.opened("dpg", data)
    with pytest.raises(BridgeError, match="no prompts"):
        outside.opened("dpg", data.parent / "out")


WANTED = editing.edits("test", 6)


@pytest.fixture
def sources(tmp_path):
    """A folder with the source pictures of six edits."""
    data = tmp_path / "data"
    (data / "human").mkdir(parents=True)
    for i, edit in enumerate(WANTED):
        picture = Image.fromarray(shapes_world.render(edit.source))
        picture.save(data / "human" / f"{i}.png")
    return data


def shows_target(path, edit):
    shown = shapes_world.read_scene(np.asarray(Image.open(path))).scene
    return shapes_world.scenes_match(shown, edit.target).same


@pytest.fixture
def imgedit(sources):
    edits = {
        str(i): {
            "id": f"human/{i}.png",
            "prompt": edit.instruction,
            "edit_type": "add" if i < 2 else "remove",
        }
        for i, edit in enumerate(WANTED)
    }
    (sources / "basic_edit.json").write_text(json.dumps(edits))
    return sources


def test_imgedit(imgedit, tmp_path):
    out = tmp_path / "out"
    answer("imgedit", imgedit, out, shard=Shard(1, 2))
    with pytest.raises(BridgeError, match="lacks 3 of 6 edits"):
        outside.score("imgedit", imgedit, out)
    model = oracle.Oracle()
    answer("imgedit", imgedit, out, model)
    assert model.calls == 1
    paths = [out / "imgedit" / f"{i}.png" for i in range(6)]
    assert all(map(shows_target, paths, WANTED))
    lines = [{"picture": f"{i}.png", "scores": [5, 4, 3 - i % 2]} for i in range(5)]
    judge = write(tmp_path / "j.jsonl", [*lines, {"picture": "5.png", "scores": None}])
    figures = score("imgedit", imgedit, out, judge)
    add, remove = (4 + 11 / 3) / 2, (4 + 11 / 3 + 4) / 3
    assert figures == {
        "imgedit/overall": pytest.approx((add + remove) / 2),
        "imgedit/add": pytest.approx(add),
        "imgedit/remove": pytest.approx(remove),
        "imgedit/unjudged": 1.0,
    }
    lines += [{"picture": "5.png", "scores": [5, 6, 1]}]
    lines[0]["scores"] = [5, 5]
    lines[1]["scores"] = [True, 5, math.nan]
    with pytest.raises(BridgeError, match="3 mistakes.*:1:.*:2:.*:6:.*from 1 to 5"):
        score("imgedit", imgedit, out, write(judge, lines))
    with pytest.raises(BridgeError, match="three numbers"):
        outside.score("imgedit", imgedit, out)


def test_imgedit_mistakes_in_data(imgedit):
    path = imgedit / "basic_edit.json"
    edits = json.loads(path.read_text())
    edits["0"]["id"] = "../0.png"
    edits["1"]["id"] = "human/none.png"
    del edits["2"]["prompt"]
    edits["a/b"] = edits["3"]
    edits["x"] = 7
    path.write_text(json.dumps(edits))
    with pytest.raises(BridgeError) as error:
        outside.opened("imgedit", imgedit)
    for words in ("5 mistakes", "leads out", "none.png", "'prompt'", "'a/b'", "object"):
        assert words in str(error.value)
    path.write_text("{")
    with pytest.raises(BridgeError, match="no JSON"):
        outside.opened("imgedit", imgedit)
    path.unlink()
    with pytest.raises(BridgeError, match="basic_edit.json"):
        outside.opened("imgedit", imgedit)


@pytest.fixture
def gedit(sources):
    """Each edit in two languages; one of three is in both sets of the published."""
    lines = [
        {
            "key": f"{language}{i}",
            "instruction": edit.instruction,
            "instruction_language": language,
            "task_type": "color_alter" if i < 4 else "subject-add",
            "image": f"human/{i}.png",
            "Intersection_exist": i % 3 == 0,
        }
        for language in ("en", "cn")
        for i, edit in enumerate(WANTED)
    ]
    write(sources / "gedit.jsonl", lines)
    return sources


def test_gedit(gedit, tmp_path):
    out = tmp_path / "out"
    answer("gedit", gedit, out)
    folder = out / "gedit"
    assert len(list(folder.rglob("*.png"))) == 2 * 12
    place = folder / "fullset" / "subject-add" / "cn"
    assert shows_target(place / "cn5.png", WANTED[5])
    source = np.asarray(Image.open(place / "cn5_SRCIMG.png"))
    np.testing.assert_array_equal(source, shapes_world.render(WANTED[5].source))
    lines = []
    for path in folder.rglob("*[0-9].png"):
        i, chinese = int(path.stem[2:]), path.stem.startswith("cn")
        name = path.relative_to(folder).as_posix()
        lines.append({"picture": name, "scores": [i, 0 if chinese else 9]})
    figures = score("gedit", gedit, out, write(tmp_path / "j.jsonl", lines))
    figures = {name.removeprefix("gedit/"): value for name, value in figures.items()}
    roots = [3 * math.sqrt(i) for i in range(6)]
    task, other = sum(roots[:4]) / 4, sum(roots[4:]) / 2
    assert figures["en/color_alter"] == pytest.approx(task)
    assert figures["en/subject-add"] == pytest.approx(other)
    assert figures["en/overall"] == pytest.approx((task + other) / 2)
    assert figures["en/semantic"] == pytest.approx((1.5 + 4.5) / 2)
    assert figures["en/quality"] == 9 and figures["cn/overall"] == 0
    assert figures["en/intersection/overall"] == pytest.approx(roots[3] / 2)
    assert "unjudged" not in figures


def test_gedit_mistakes_in_data(gedit):
    path = gedit / "gedit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["image"] = "none.png"
    lines[2]["task_type"] = "../up"
    lines[3] = lines[0]
    del lines[4]["key"]
    write(path, lines)
    with pytest.raises(BridgeError) as error:
        outside.opened("gedit", gedit)
    for line, words in enumerate(("none.png", "'../up'", "twice", "'key'"), 2):
        assert f"gedit.jsonl:{line}: " in str(error.value)
        assert words in str(error.value)
    write(gedit / "other.jsonl", lines)
    with pytest.raises(BridgeError, match="2 .jsonl files"):
        outside.opened("gedit", gedit)
