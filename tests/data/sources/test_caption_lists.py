"""Captions as COCO, Karpathy and Flickr30K publish them."""

import json

import pytest
import source_checks

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources


def captions(i):
    return [f"Caption {j} of  {i}, ü" for j in range(i % 5 + 1)]


@pytest.fixture
def coco(tmp_path):
    """Images in one order, annotations in another."""
    images = [
        {"license": 1, "file_name": f"{i:012}.jpg", "height": 3, "id": 100 + i}
        for i in range(12)
    ]
    told = [
        {"image_id": 100 + i, "id": 9 * j + i, "caption": captions(i)[j]}
        for j in range(5)
        for i in reversed(range(12))
        if j < i % 5 + 1
    ]
    path = tmp_path / "captions_val2017.json"
    head = {"info": {"year": 2017}, "licenses": [{"id": 1}]}
    path.write_text(json.dumps(head | {"images": images, "annotations": told}))
    return path


def test_coco(coco):
    records = [
        {"image": f"{i:012}.jpg", "captions": captions(i), "id": 100 + i}
        for i in range(12)
    ]
    source = source_checks.holds(coco, records)
    assert source[4][0] == f"{coco}: images[4]"


def test_coco_with_mistakes(coco):
    document = json.loads(coco.read_text())
    document["annotations"][0]["caption"] = 7  # of image 11
    document["images"][2]["file_name"] = None
    document["images"].append({"id": 500, "file_name": "alone.jpg"})
    coco.write_text(json.dumps(document))
    source = sources.open_source(coco)
    for i, told in ((11, r"annotations\[0\]: 'caption'"), (2, "'file_name'")):
        with pytest.raises(BridgeError, match=told):
            source[i]
    with pytest.raises(BridgeError, match=r"images\[12\]: no annotation is about it"):
        source[12]
    assert source[3][1]["captions"] == captions(3)
    document["images"][1]["id"] = 100
    document["annotations"][5]["image_id"] = 7
    coco.write_text(json.dumps(document))
    with pytest.raises(BridgeError, match=r"images\[1\].*annotations\[5\]"):
        sources.open_source(coco)


@pytest.fixture
def karpathy(tmp_path):
    splits = ("train", "restval", "val", "test")
    images = [
        {
            "filepath": "val2014",
            "sentids": list(range(i % 5 + 1)),
            "filename": f"{i}.jpg",
            "imgid": i,
            "split": splits[i % 4],
            "sentences": [{"tokens": ["a"], "raw": one} for one in captions(i)],
            "cocoid": 100 + i,
        }
        for i in range(12)
    ]
    for image in images[8:]:  # Flickr30K's have neither
        del image["filepath"], image["cocoid"]
    path = tmp_path / "dataset_coco.json"
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))
    return path


def karpathys(numbers):
    return [
        {
            "image": f"val2014/{i}.jpg" if i < 8 else f"{i}.jpg",
            "captions": captions(i),
            "split": ("train", "restval", "val", "test")[i % 4],
            "id": 100 + i if i < 8 else i,
        }
        for i in numbers
    ]


@pytest.mark.parametrize(
    ("split", "numbers"),
    [
        ("", range(12)),
        ("[test]", (3, 7, 11)),
        ("[train+restval]", (0, 1, 4, 5, 8, 9)),
    ],
)
def test_karpathys_splits(karpathy, split, numbers):
    source = source_checks.holds(f"{karpathy}{split}", karpathys(numbers))
    assert source[1][0] == f"{karpathy}: images[{numbers[1]}]"


def test_karpathys_list_with_mistakes(karpathy):
    with pytest.raises(BridgeError, match=r"split 'valid' \(but restval, test, train"):
        sources.open_source(f"{karpathy}[valid+test]")
    document = json.loads(karpathy.read_text())
    document["images"][0]["sentences"][0] = {"tokens": []}
    document["images"][1]["sentences"] = "a cat"
    document["images"][2]["filename"] = 3
    document["images"][3]["filepath"] = 3
    karpathy.write_text(json.dumps(document))
    source = sources.open_source(karpathy)
    told = (r"sentences\[0\]: 'raw'", "'sentences'", "'filename'", "'filepath'")
    for i, what in enumerate(told):
        with pytest.raises(BridgeError, match=rf"images\[{i}\]: {what}"):
            source[i]
    assert source[4][1] == karpathys([4])[0]


@pytest.mark.parametrize("name", ["coco", "karpathy"])
def test_lists_that_are_cut_short(name, request):
    path = request.getfixturevalue(name)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 60):
        path.write_bytes(whole[:size])
        with pytest.raises(BridgeError, match=f"{path.name}.* no JSON"):
            sources.open_source(path)
    path.write_bytes(whole.replace(b"Caption 0", b"Caption \xff"))
    with pytest.raises(BridgeError, match="no UTF-8"):
        sources.open_source(path)


IMAGES = [f"{1000 + i}.jpg" for i in range(6)]
FLICKR = [{"image": n, "captions": captions(i)} for i, n in enumerate(IMAGES)]


def lines(form):
    return [
        form.format(image=one["image"], number=number, caption=caption)
        for one in FLICKR
        for number, caption in enumerate(one["captions"])
    ]


@pytest.mark.parametrize(
    ("name", "head", "form"),
    [
        ("results_20130124.token", [], "{image}#{number}\t{caption}"),
        (
            "results.csv",
            ["image_name| comment_number| comment"],
            "{image}| {number}| {caption}",
        ),
        ("captions.txt", ["image,caption"], '{image},"{caption}"'),
        (
            "captions.csv",
            ["image_name,comment_number,comment"],
            '{image},{number},"{caption}"',
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_flickr30k(tmp_path, name, head, form, end):
    (tmp_path / name).write_bytes(end.join([*head, *lines(form), ""]).encode())
    kind = "flickr30k" if name.endswith(".txt") else ""
    source = source_checks.holds(tmp_path / name, FLICKR, kind)
    place = len(head) + 1 + len(FLICKR[0]["captions"])
    assert source[1][0] == f"{tmp_path / name}:{place}"


def test_the_line_of_flickr30k_that_lacks_a_bar(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(
        "image_name| comment_number| comment\n"
        "2199200615.jpg| 3| A dog .\n"
        "2199200615.jpg| 4   A dog runs across the grass .\n"
    )
    said = ["A dog .", "A dog runs across the grass ."]
    source_checks.holds(path, [{"image": "2199200615.jpg", "captions": said}])


def test_flickr30k_with_mistakes(tmp_path):
    path = tmp_path / "a.token"
    path.write_text("a.jpg#0\tgood\na.jpg bad\nb.jpg\tbad\nc.jpg#0\tgood\n")
    with pytest.raises(BridgeError, match=r"2 mistakes: .*token:2: .*token:3: "):
        sources.open_source(path)
    path.write_text("a.jpg#0\tgood\na.jpg#1\t \nc.jpg#0\tgood\n")
    source = sources.open_source(path)
    with pytest.raises(BridgeError, match=r"a.token:1: a.jpg: caption 1 says nothing"):
        source[0]
    assert source[1][1] == {"image": "c.jpg", "captions": ["good"]}
    table = tmp_path / "a.csv"
    for text, told in (
        ("image_name| comment_number| comment\na.jpg\n", "a.csv:2: is not NAME|"),
        ("image,caption\na.jpg,b,c\n", "a.csv:2: has not 2 columns"),
        ('image,caption\na.jpg,"b"c\n', "a.csv:2: is no CSV"),
        ("x,y\n1,2\n", "no list of captions"),
    ):
        table.write_text(text)
        with pytest.raises(BridgeError, match=told):
            sources.open_source(table)
