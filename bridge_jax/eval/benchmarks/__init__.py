"""Outside benchmarks, read from their published files: one file a benchmark.

`bridge evaluate --benchmark NAME=DATA` loads the file NAME of this folder, or with a
dot in its name any module, and takes its

    class Benchmark:
        def __init__(self, data: Path): ...
        def answer(self, model, folder, options, shard=Shard(0, 1)) -> None: ...
        def score(self, folder, scorer) -> dict[str, float]: ...

Benchmark(data)
    reads and checks DATA, a file or a folder. All mistakes come at once, as one
    BridgeError that names file and line (`data.faults`).

answer(model, folder, options, shard)
    is the model's part: it writes into `folder` the answers or pictures of the items
    `shard.of(items)`, laid out as published. `model` is an `eval.system.System`,
    `options` the `eval.options.Options`. What is there already is not done again, and
    what is there is whole: written beside its place, then moved. An answer depends on
    its own item, and on no other that is asked for beside it, so that shards, an
    interruption and one run without either write the same (but for the last bit of a
    pixel, where batches of another size round otherwise).

score(folder, scorer)
    needs no model and no accelerator, and reads nothing but what `answer` wrote and
    DATA. It gives the figures by name; metrics.json holds them as "NAME/figure".
    `scorer` is None or the text of --scorer, "NAME[:argument]" (`eval.scorers`). A
    missing answer is a BridgeError; so each item counts once, whoever answered it.

check(scorer)
    may be there, too: it refuses a scorer that cannot be before anything is answered.
"""
