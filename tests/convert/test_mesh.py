"""Straight onto a mesh: the right values in the right places, and no byte too many."""

import collections
import json
import socket
import subprocess
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
import tiny_model

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import mesh, run, tensors
from bridge_jax.core import runtime, trees
from bridge_jax.sharding import place


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """(Qwen2-VL in shards, our own parameters), bfloat16."""
    home = tmp_path_factory.mktemp("mesh")
    ours = tiny_model.write(home / "ours", "vlm")
    params = weights_file.load(ours, dtype=None)
    weights_file.save(ours, params, weights_file.read_config(ours), dtype="bfloat16")
    run.export("qwen2_vl", ours, home / "released", shard_bytes=500_000)
    return home / "released", weights_file.load(ours, dtype=None)


def counted(*args, **kwargs):
    read = collections.Counter()

    def note(tensor, size):
        read[tensor] += size

    _, params = mesh.load(*args, on_read=note, **kwargs)
    return params, read


@pytest.mark.parametrize("sizes", [{"fsdp": 4, "tensor": 2}, {"data": 2, "fsdp": 4}])
def test_values_and_places(released, sizes):
    folder, ours = released
    layout = place.make(sizes)
    params, read = counted("qwen2_vl", folder, layout)
    flat, wanted = trees.flatten(params), trees.flatten(ours)
    assert flat.keys() == wanted.keys()
    for path, array in wanted.items():
        assert flat[path].dtype == array.dtype
        np.testing.assert_array_equal(np.asarray(flat[path]), array)
    spread = [p for p, a in flat.items() if not a.sharding.is_fully_replicated]
    assert len(spread) > len(flat) / 2
    whole = {name: a.nbytes for name, a in tensors.open_folder(folder).items()}
    assert read == whole  # one process: everything once, however many devices


def test_weights_may_change_their_type(released):
    folder, _ = released
    layout = place.make({"fsdp": -1})
    params, _ = counted("qwen2_vl", folder, layout, dtype="float32")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


SCRIPT = """
import collections, json, os, sys
import jax
jax.distributed.initialize(sys.argv[2], 2, int(sys.argv[3]))
from bridge_jax.convert import mesh
from bridge_jax.sharding import place
read = collections.Counter()
def note(tensor, size):
    read[tensor] += size
layout = place.make({"fsdp": -1})
_, params = mesh.load("qwen2_vl", __import__("pathlib").Path(sys.argv[1]), layout,
                      on_read=note)
local = [s.data.nbytes for leaf in jax.tree.leaves(params)
         for s in leaf.addressable_shards if s.replica_id == 0]
kernel = params["vlm"]["llm"]["layers_0"]["mlp"]["up"]["kernel"]
rows = sorted(s.index[0].start or 0 for s in kernel.addressable_shards)
print("RESULT", json.dumps({"read": read, "local": sum(local), "rows": rows}))
"""


def test_each_of_two_processes_reads_its_half(released, tmp_path):
    folder, _ = released
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (tmp_path / "load.py").write_text(SCRIPT)
    env = runtime.simulated_environment(4)
    env["PYTHONPATH"] = str(Path(__file__).parents[2])
    started = [
        subprocess.Popen(
            [sys.executable, tmp_path / "load.py", folder, address, str(number)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    results = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err[-2000:]
        [line] = [text for text in out.splitlines() if text.startswith("RESULT")]
        results.append(json.loads(line.removeprefix("RESULT")))
    first, second = results
    assert not set(first["rows"]) & set(second["rows"])
    kernel = "model.layers.0.mlp.up_proj.weight"
    found = tensors.open_folder(folder)
    half = found[kernel].nbytes // 2
    assert first["read"][kernel] == second["read"][kernel] == half
    total = sum(array.nbytes for array in found.values())
    for result in results:
        assert sum(result["read"].values()) < 0.6 * total
    assert ml_dtypes.bfloat16 == found[kernel].dtype
