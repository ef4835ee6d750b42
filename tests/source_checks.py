"""What every source of `data/sources` promises, whatever it reads."""

import concurrent.futures
import multiprocessing.reduction as sent

import numpy as np

from bridge_jax.data import sources


def holds(path, records, kind="", same=None):
    """Opens `path`, and each of `records` is in its place.

    In reverse order, for four threads at once, and for a process it is sent to.

    Args:
      same: (found, expected) -> whether they are; equality by default.
    """
    same = same or (lambda found, expected: found == expected)
    source = sources.open_source(path, kind)
    assert len(source) == len(records)
    backwards = list(reversed(range(len(records))))
    named = {i: source[i] for i in backwards}
    for i, (where, record) in named.items():
        assert same(record, records[i]), (where, record, records[i])
    fresh = sources.open_source(path, kind)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for order in pool.map(_read, [fresh] * 4, _orders(len(records))):
            for i, (where, record) in order:
                assert where == named[i][0] and same(record, records[i])
    arrived = sent.ForkingPickler.loads(bytes(sent.ForkingPickler.dumps(source)))
    assert len(arrived) == len(records) and same(arrived[0][1], records[0])
    for outside in (len(records), -len(records) - 1):
        try:
            source[outside]
        except IndexError:
            continue
        raise AssertionError(f"there is a record {outside}")
    return source


def _orders(count):
    drawn = np.random.default_rng(0)
    return [[int(i) for i in drawn.permutation(count)] for _ in range(4)]


def _read(source, order):
    return [(i, source[i]) for i in order]
