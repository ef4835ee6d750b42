"""The benchmark of growth: powers by hand, and every axis' figures; no times."""

import dataclasses
import io
import json

import pytest

from bridge_jax.bench.growth import axes, curve, measure, plot, process


def grown(time=1.0, flops=1.0, memory=1.0, sizes=(1, 2, 4, 8), order=1):
    """A curve of these powers; the first point has a constant on top."""
    points = [
        curve.Point(n, n**flops, n**2.0, 3.0 * n**memory, (99.0, float(n**time), 0.0))
        for n in sizes
    ]
    points[0] = dataclasses.replace(points[0], seconds=(5.0,), memory=99.0)
    return curve.Curve("batch", "rows", order, tuple(points))


def test_powers_are_those_of_the_last_points():
    found = grown(1.5, 1.25, 0.5)
    powers = found.time, found.flops, found.touched, found.memory
    assert powers == pytest.approx((1.5, 1.25, 2.0, 0.5)) and found.span == 4


def test_the_verdict_names_what_grows_too_fast():
    assert not grown().worse
    assert not grown(time=0.2, memory=0.0).worse
    assert not grown(time=1.1).worse  # 4 ** 0.1 is 1.15
    assert grown(time=1.5).worse == ["time 2.00 x"]
    assert grown(memory=2.0).worse == ["memory 4.00 x"]
    both = curve.markdown([grown(2.0, memory=2.0)])
    assert "| WORSE: time 4.00 x, memory 4.00 x |" in both
    good = curve.markdown([grown()])
    assert "| batch | 2 to 8 rows | 1.00 | 1.00 | 2.00 | 1.00 | 1 | 8,000 ms" in good
    assert good.endswith("| yes |") and "WORSE" not in good


def test_points_of_one_process_are_told_and_run():
    out = io.StringIO()
    process.main(["queries", "4", "8"], io.StringIO("8\n4\n8\n"), out)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    small, large, *times = told
    assert small.keys() == large.keys() == {"flops", "touched", "memory"}
    assert all(1 < large[name] / small[name] < 4 for name in ("flops", "touched"))
    assert len(times) == 3 and all(one["seconds"] > 0 for one in times)


def test_devices_are_processes_and_figures_are_those_of_one(monkeypatch):
    few = dataclasses.replace(axes.AXES["devices"], sizes=(1, 2))
    monkeypatch.setattr(axes, "AXES", {"devices": few})
    [found] = measure.measure(["devices"], rounds=2)
    one, two = found.points
    assert (one.size, two.size) == (1, 2) and one.flops == two.flops
    assert len(one.seconds) == len(two.seconds) == 2
    assert two.memory < 1.5 * one.memory
    assert plot.png([found, grown()]).startswith(b"\x89PNG")


def test_every_axis_has_points_enough():
    for axis in axes.AXES.values():
        assert len(axis.sizes) > curve.LAST
        assert sorted(set(axis.sizes)) == list(axis.sizes)
