"""Records by number: whole, in their place, and nothing else is taken for one."""

import json

import pytest
import source_checks

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.records import epochs

RECORDS = [
    {"id": i, "said": f'"[{{{"x" * i}', "more": [1, {"a": [None]}], "é": "]\\"}
    for i in range(20)
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(RECORDS)),
        ("a.json", json.dumps(RECORDS, indent=2, ensure_ascii=False)),
        ("a.jsonl", "\n".join(json.dumps(one) for one in RECORDS)),
        ("a.jsonl", "\n\n" + "\r\n\n".join(json.dumps(one) for one in RECORDS) + "\n"),
    ],
)
def test_every_record_is_found_in_its_place(tmp_path, name, text):
    (tmp_path / name).write_text(text, newline="")
    source_checks.holds(tmp_path / name, RECORDS)


@pytest.mark.parametrize(
    "text",
    ["{}", "[1, 2]", "[{},]", "[{} {}]", '["a"]', '[{}, "a"]', "[[{}]]", "[,{}]"]
    + ["x[{}]", "[{}] x", '[{"a":1}}]', "[{}, 5, {}]", "[{} 5]", "[{}", '[{"a":"b'],
)
def test_what_is_no_array_of_objects_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BridgeError, match=r"a.json (is no JSON array|goes on after)"):
        sources.open_source(tmp_path / "a.json")


def test_records_that_are_none_are_told_when_they_are_read(tmp_path):
    lines = [b'{"a": 1}', b"[1]", b'{"a": ', b'{"a": "\xff"}', b'{"b": 2}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    source = sources.open_source(tmp_path / "a.jsonl")
    assert [source[i][1] for i in (0, 4)] == [{"a": 1}, {"b": 2}]
    for i, told in ((1, "no JSON object"), (2, "no JSON"), (3, "no UTF-8")):
        with pytest.raises(BridgeError, match=rf"a.jsonl:{i + 1}: is {told}"):
            source[i]


def test_files_that_hold_nothing_are_refused(tmp_path):
    for name, text in (("a.json", "[ ]"), ("a.jsonl", "\n"), ("b.json", "")):
        (tmp_path / name).write_text(text)
        with pytest.raises(BridgeError, match=r"holds no record|cut short"):
            sources.open_source(tmp_path / name)
    with pytest.raises(BridgeError, match="no such file"):
        sources.open_source(tmp_path / "c.json")
    with pytest.raises(BridgeError, match="records are read from .jsonl, .json"):
        sources.open_source(tmp_path / "a.npz")


def test_an_epoch_has_every_record_once_in_an_order_of_its_own():
    epoch = [[epochs.record(3, 7 * e + i, 7) for i in range(7)] for e in range(4)]
    assert all(sorted(one) == list(range(7)) for one in epoch)
    assert len({tuple(one) for one in epoch}) == 4
    assert epoch[0] != [epochs.record(4, i, 7) for i in range(7)]


def test_a_text_a_line(tmp_path):
    lines = ["a red circle", "", "  zwei gr\u00fcne Ringe \r", "three"]
    (tmp_path / "a.txt").write_bytes("\ufeff".encode() + "\n".join(lines).encode())
    said = ["a red circle", "zwei gr\u00fcne Ringe", "three"]
    source = source_checks.holds(
        tmp_path / "a.txt", [{"text": one, "prompt": one} for one in said]
    )
    assert source[1][0] == f"{tmp_path / 'a.txt'}:3"
    (tmp_path / "b.txt").write_bytes(b"good\n\xff\n")
    source = sources.open_source(tmp_path / "b.txt")
    with pytest.raises(BridgeError, match="b.txt:2: is no UTF-8"):
        source[1]


def test_lines_that_name_no_json_lines_are_told_the_kind(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(BridgeError, match="its kind is json_lines"):
        sources.open_source(tmp_path / "a.json")
    assert sources.open_source(tmp_path / "a.json", "json_lines")[1][1] == {"a": 2}
