"""Tars written by webdataset, and by tarfile with all that a tar can hold."""

import io
import json
import tarfile

import numpy as np
import pytest
import source_checks
import webdataset
from webdataset import tariterators

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.sources import kept_index, tar_headers

COUNT = 12


def picture(i):
    return bytes([0xFF, 0xD8, i]) * (200 + 100 * i)


def sample(i):
    return {
        "__key__": f"{i // 5:03}/sample {i} é",
        "jpg": picture(i),
        "txt": f"caption {i}, ü",
        "cls": i,
        "json": {"width": i, "said": ["x"] * i, "jpg": "hidden by the file"},
        "seg.PNG": picture(i)[::-1],
        "more.json": [i],
    }


def expected(i):
    made = {k: v for k, v in sample(i).items() if k != "json"}
    made["seg.png"] = made.pop("seg.PNG")
    return {"width": i, "said": ["x"] * i} | made


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "a.tar"
    encoder = {"jpg": bytes, "seg.PNG": bytes, "txt": str.encode}
    encoder |= {"cls": lambda number: str(number).encode()}
    encoder |= dict.fromkeys(("json", "more.json"), lambda x: json.dumps(x).encode())
    with webdataset.TarWriter(str(made), encoder=lambda s: encoded(s, encoder)) as out:
        for i in range(COUNT):
            out.write(sample(i))
    return made


def encoded(given, encoder):
    return {k: encoder[k](v) if k in encoder else v for k, v in given.items()}


def tar(path, files, form=tarfile.PAX_FORMAT):
    """(name or TarInfo, bytes) each."""
    with tarfile.open(path, "w", format=form) as out:
        for info, data in files:
            if not isinstance(info, tarfile.TarInfo):
                info = tarfile.TarInfo(info)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


def test_samples_of_webdatasets_writer(path):
    source_checks.holds(path, [expected(i) for i in range(COUNT)])


@pytest.mark.parametrize(
    "form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]
)
def test_samples_are_those_that_webdataset_finds(tmp_path, form):
    names = ["a.jpg", "a.txt", "b.x.y.jpg", "dir.d/c.jpg", "dir.d/c.TXT", "a.png"]
    names += [f"{'long/' * 19}{'n' * 60}{i}.jpg" for i in range(3)]
    names += [".hidden.jpg", "nodot", "d/.h.txt", "__meta__", "__m__/a.jpg", "d/__e__"]
    names += ["x.", "../../up.jpg", "ü/ß.jpg", "./a.jpg", "b.JPG", "__a__.jpg"]
    if form != tarfile.USTAR_FORMAT:
        names += [f"{'w' * 300}.jpg", f"{'w' * 300}.png"]
    path = tar(tmp_path / "a.tar", [(n, n.encode()) for n in names], form)
    with path.open("rb") as file:
        told = tariterators.tar_file_expander([{"url": str(path), "stream": file}])
        found = list(tariterators.group_by_keys(told))
    for one in found:
        one |= {k: v.decode() for k, v in one.items() if k.endswith("txt")}
        del one["__url__"]
    assert len(found) > 10
    source_checks.holds(path, found)


def test_what_is_no_plain_file_is_never_opened(tmp_path):
    """Links to real files, devices, folders; names that lead to them."""
    (tmp_path / "secret.txt").write_text("secret")
    odd = []
    for number, kind in enumerate(
        (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    ):
        info = tarfile.TarInfo(f"odd{number}.txt")
        info.type, info.linkname = kind, str(tmp_path / "secret.txt")
        odd.append((info, b""))
    folder = tarfile.TarInfo("folder.txt")
    folder.type = tarfile.DIRTYPE
    names = ["a.txt", str(tmp_path / "secret.txt"), "../secret.txt", "z.txt"]
    files = [(n, b"harmless") for n in names]
    path = tar(tmp_path / "a.tar", [files[0], *odd, (folder, b""), *files[1:]])
    keys = ["a", str(tmp_path / "secret"), "../secret", "z"]
    source_checks.holds(path, [{"__key__": k, "txt": "harmless"} for k in keys])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "secret.txt"]


def test_sparse_files_are_left_out_and_told(tmp_path, capsys):
    pax = tarfile.TarInfo("a.jpg")
    pax.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "a.jpg"}
    gnu = tarfile.TarInfo("b.jpg")
    gnu.type = tarfile.GNUTYPE_SPARSE
    files = [(pax, b"map"), ("a.txt", b"A"), (gnu, b"more"), ("b.txt", b"B")]
    path = tar(tmp_path / "a.tar", files)
    wanted = [{"__key__": key, "txt": key.upper()} for key in "ab"]
    source_checks.holds(path, wanted)
    assert "2 sparse files are left out" in capsys.readouterr().out


def test_records_that_are_none(tmp_path):
    files = [("a.json", b"{"), ("b.json", b'"x"'), ("c.txt", b"\xff"), ("d.cls", b"x")]
    files += [("e.jpg", b"1"), ("e.JPG", b"2"), ("f.json", b'{"a": 1}'), ("g.jpg", b"")]
    source = sources.open_source(tar(tmp_path / "a.tar", files))
    told = {0: ".json: is no JSON", 2: ".txt: is no UTF-8", 3: "no whole number"}
    for i, what in (told | {4: "two files .jpg"}).items():
        with pytest.raises(BridgeError, match=rf"a.tar: record {i} \(.\).*{what}"):
            source[i]
    good = {1: {"json": "x"}, 5: {"a": 1}, 6: {"jpg": b""}}
    for i, record in good.items():
        assert source[i][1] == record | {"__key__": "abcdefg"[i]}


def members(path):
    with tarfile.open(path) as opened:
        return opened.getmembers()


def test_a_tar_that_is_cut_anywhere_serves_its_whole_records(path, tmp_path, capsys):
    whole, found = path.read_bytes(), members(path)
    ends = [
        max(m.offset_data + m.size for m in found[i : i + 6])
        for i in range(0, len(found), 6)
    ]
    cut, served = tmp_path / "cut.tar", set()
    drawn = np.random.default_rng(0)
    drawn = [int(at) for at in drawn.integers(found[6].offset_data, ends[-1], 150)]
    edges = [at for m in found[7:] for at in (m.offset, m.offset_data)]
    for end in {*drawn, *edges, *ends[1:]}:
        cut.write_bytes(whole[:end])
        source = sources.open_source(cut)
        count = sum(one <= end for one in ends)
        assert len(source) == count, end
        served.add(count)
        assert source[count - 1][1] == expected(count - 1)
        out = capsys.readouterr().out
        assert f"{cut} is cut short" in out and f"of its {end} bytes" in out
    assert served == set(range(1, COUNT + 1))
    cut.write_bytes(whole[: ends[0] - 10])
    with pytest.raises(BridgeError, match="holds no record"):
        sources.open_source(cut)


def test_a_cut_tar_is_told_of_whenever_it_is_opened(path, monkeypatch, capsys):
    monkeypatch.setattr(kept_index, "LEAST", 0)
    path.write_bytes(path.read_bytes()[:20000])
    told = []
    for _ in range(2):
        sources.open_source(path)
        told.append(capsys.readouterr().out)
    assert "is cut short" in told[0] and told[0] == told[1]


def test_joined_tars_are_told(path, capsys):
    path.write_bytes(path.read_bytes() * 2)
    assert len(sources.open_source(path)) == COUNT
    assert "were tars joined?" in capsys.readouterr().out


def test_a_damaged_header_is_an_error_and_no_shorter_tar(path):
    whole, found = path.read_bytes(), members(path)
    drawn = np.random.default_rng(0)
    for member in found:
        flipped = bytearray(whole)
        flipped[member.offset + int(drawn.integers(0, 257))] ^= 1 << drawn.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(BridgeError, match=r"a.tar: (is no tar|the header at byte)"):
            sources.open_source(path)


def test_flipped_bits_of_what_is_in_it_never_crash(path):
    whole = path.read_bytes()
    drawn = np.random.default_rng(0)
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[drawn.integers(len(whole))] ^= 1 << drawn.integers(8)
        path.write_bytes(flipped)
        try:
            source = sources.open_source(path)
        except BridgeError:
            continue
        for i in range(len(source)):
            try:
                source[i]
            except BridgeError as error:
                assert f"record {i}" in str(error)


@pytest.mark.parametrize("length", [-512, -1, 1 << 70, 1 << 40])
def test_sizes_that_lead_nowhere(tmp_path, length):
    path = tar(tmp_path / "a.tar", [("a.txt", b"A"), ("b.txt", b"B")])
    data = bytearray(path.read_bytes())
    at = 1024
    data[at + 124 : at + 136] = (length % (1 << 96)).to_bytes(12, "big")
    data[at + 124] |= 0x80
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    path.write_bytes(data)
    if length == 1 << 40:  # it may be cut short
        assert len(sources.open_source(path)) == 1
        return
    with pytest.raises(BridgeError, match="the header at byte 1024 is damaged"):
        sources.open_source(path)


@pytest.mark.parametrize(
    "line", [b"11 path=a\n", b"x path=a.txt\n", b"99999999 path=a\n", b"12 path=abc "]
)
def test_extended_headers_that_are_none(tmp_path, line):
    info = tarfile.TarInfo("././@PaxHeader")
    info.type = tarfile.XHDTYPE
    path = tar(
        tmp_path / "a.tar", [(info, line), ("a.txt", b"A")], tarfile.USTAR_FORMAT
    )
    with pytest.raises(BridgeError, match="the extended header at byte 512"):
        sources.open_source(path)


def test_what_is_no_tar(tmp_path):
    for name, data in (("a.tar", b"x" * 2000), ("b.tar", b""), ("c.tar", bytes(1024))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BridgeError, match="is no tar|holds no record"):
            sources.open_source(tmp_path / name)
    with tarfile.open(tmp_path / "d.tar", "w:gz"):
        pass
    with pytest.raises(BridgeError, match="is compressed"):
        sources.open_source(tmp_path / "d.tar")


def test_large_files_are_found_by_their_size():
    """Of 9 GiB, which is never read: base-256 of GNU, a size of pax."""
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo("a.bin")
        info.size = 9 << 30
        head = info.tobuf(form)
        size = len(head) + info.size + 1024

        def read(start, end, head=head):
            return (head[start:end] if start < len(head) else b"").ljust(
                end - start, b"\0"
            )

        first, last = tar_headers.walk(read, size, "a.tar")
        assert first == tar_headers.Member("a.bin", len(head), 9 << 30)
        assert last == tar_headers.End(len(head) + info.size)


def test_names_that_are_no_unicode_can_be_told(tmp_path):
    name = b"\xff\xfe.txt".decode("utf-8", "surrogateescape")
    path = tar(tmp_path / "a.tar", [(name, b"A")], tarfile.GNU_FORMAT)
    where, record = sources.open_source(path)[0]
    assert record == {"__key__": name[:2], "txt": "A"}
    assert where.encode().endswith(rb"(\udcff\udcfe)")
