"""Many files as one: which they are, in which order, and which are missing."""

import json

import pytest
import source_checks

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.sources import shards


@pytest.fixture
def folder(tmp_path):
    """Files 00 to 11 of one to three records; in their midst one that is hidden."""
    for number in range(12):
        records = [{"file": number, "i": i} for i in range(number % 3 + 1)]
        text = "\n".join(json.dumps(one) for one in records)
        (tmp_path / f"part-{number:02}.jsonl").write_text(text)
    (tmp_path / ".part-03.jsonl").write_text("[")
    (tmp_path / "stats.txt").write_text("12 files")
    return tmp_path


def records(numbers):
    return [{"file": n, "i": i} for n in numbers for i in range(n % 3 + 1)]


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("", range(12)),
        ("part-*.jsonl", range(12)),
        ("part-0[37].jsonl", (3, 7)),
        ("part-{00..11}.jsonl", range(12)),
        ("part-{08..10}.jsonl", (8, 9, 10)),
        ("part-0{1,5,3}.jsonl", (1, 3, 5)),
        ("part-{0,1}{0..1}.jsonl", (0, 1, 10, 11)),
    ],
)
def test_files_are_numbered_through_in_the_order_of_names(folder, path, numbers):
    source_checks.holds(f"{folder}/{path}", records(numbers))


def test_a_list_and_what_stands_in_it_twice(folder):
    listed = [f"{folder}/part-{n:02}.jsonl" for n in (7, 2, 7)]
    source = source_checks.holds(",".join(listed), records((2, 7)))
    assert source[3][0] == f"{folder}/part-07.jsonl:1"


def test_all_that_are_missing_are_told_at_once(folder):
    with pytest.raises(BridgeError) as error:
        sources.open_source(f"{folder}/part-{{10..13}}.jsonl,{folder}/more-*.jsonl")
    for name in ("part-12.jsonl", "part-13.jsonl", "more-*.jsonl"):
        assert f"{folder}/{name}" in str(error.value)
    assert "part-11" not in str(error.value)
    with pytest.raises(BridgeError, match="and 3 more"):
        sources.open_source(f"{folder}/none-{{0..14}}.jsonl")


def test_all_that_hold_nothing_are_told_at_once(folder):
    for number in (4, 9):
        (folder / f"part-{number:02}.jsonl").write_text("\n")
    with pytest.raises(BridgeError, match=r"2 mistakes: .*part-04.*; .*part-09"):
        sources.open_source(folder)


def test_a_folder_of_two_kinds_wants_one_named(folder):
    (folder / "a.json").write_text('[{"file": "json"}]')
    with pytest.raises(
        BridgeError, match="json_array and json_lines; name one.*[*].json"
    ):
        sources.open_source(folder)
    source_checks.holds(folder, records(range(12)), "json_lines")
    source_checks.holds(folder, [{"file": "json"}], "json_array")
    with pytest.raises(BridgeError, match="holds no webdataset"):
        sources.open_source(folder, "webdataset")


def test_odd_names_are_files_if_they_are_there(tmp_path):
    for name in ("a,b.jsonl", "a{1..2}.jsonl", "a[1].jsonl", "a.jsonl[x]"):
        (tmp_path / name).write_text('{"a": 1}')
        kind = "" if name.endswith("jsonl") else "json_lines"
        source_checks.holds(tmp_path / name, [{"a": 1}], kind)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a.json[test]", ("a.json", "test")),
        ("a.json[train+restval]", ("a.json", "train+restval")),
        ("tfds:x/y:1.0.0[train[:10%]]", ("tfds:x/y:1.0.0", "train[:10%]")),
        ("a.json", ("a.json", "")),
        ("part-[0-9].tar", ("part-[0-9].tar", "")),
    ],
)
def test_splits_stand_at_the_end(path, parts):
    assert shards.split_of(path) == parts


def test_ranges_go_up_and_are_finite():
    for path in ("a{5..2}.tar", "a{0..9999999}.tar", "{0..999999}{0..9}.tar"):
        with pytest.raises(BridgeError, match="no range that goes up|stands for"):
            shards.named(path)


def test_what_cannot_be_read_by_number_says_the_way_out(tmp_path):
    for name, told in (("a.tar.gz", "unpacked"), ("a.tfrecord", "convert_format")):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(BridgeError, match=told):
            sources.open_source(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BridgeError, match="neither pictures nor a dataset"):
        sources.open_source(tmp_path / "empty")
    (tmp_path / "a.jsonl").write_text("{}")
    with pytest.raises(BridgeError, match=r"no module .*json_line; did you|json_lines"):
        sources.open_source(tmp_path / "a.jsonl", "json_line")


def test_folders_of_folders(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "a/b").mkdir(parents=True)
    (home / "a/b/c.jsonl").write_text('{"a": 1}')
    with pytest.raises(BridgeError, match=r"holds no pictures.*/\*\*/\*.tar"):
        sources.open_source(home)
    source_checks.holds(home / "**/*.jsonl", [{"a": 1}])
