import json

from bridge_jax.core import log, runtime


def read(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def test_line():
    figures = {
        "loss": 0.5,
        "fit": 0.25,
        "seconds": 0.125,
        "samples_per_second": 512.0,
        "flops_per_second": 3e12,
    }
    assert log.line(20, figures) == (
        "completed step: 20, seconds: 0.125, TFLOP/s/device: 3.000, samples/s: 512.0,"
        " loss: 0.50000, fit: 0.25"
    )


def test_window_merges_sums_and_weights():
    window = log.Window()
    window.add({"a": (2.0, 1.0), "b": (0.0, 0.0)})
    window.add({"a": (4.0, 3.0)})
    assert window.close() == {"a": 1.5} and window.close() == {}


def test_writer_appends_and_forgets_what_comes_again(tmp_path):
    for start in (0, 2):
        writer = log.Writer(tmp_path, 10, start)
        for step in (start + 1, start + 2, start + 3):
            writer.scalars(step, {"loss": 1.0 / step})
            writer.advance(step)
        writer.close()
    records = read(tmp_path / "metrics.jsonl")
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5]


def test_simulated_environment_has_threads_enough():
    made = runtime.simulated_environment(4, {"XLA_FLAGS": "--a", "HOME": "/h"})
    assert made["NPROC"] == "32" and made["HOME"] == "/h"
    assert made["XLA_FLAGS"] == "--a --xla_force_host_platform_device_count=4"
