"""Things that are made once, whoever asks, and few at a time."""

import concurrent.futures
import os
import time

import pytest

from bridge_jax.data.sources.recent import Recent


def test_threads_share_what_one_of_them_makes():
    recent, made = Recent(4), []

    def make(key):
        made.append(key)
        time.sleep(0.02)
        return object()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda i: recent.get(i % 4, lambda: make(i % 4)), range(32))
        )
    assert sorted(made) == [0, 1, 2, 3]
    assert len({id(one) for one in found}) == 4


def test_the_oldest_goes():
    recent, made = Recent(2), []

    def get(key):
        recent.get(key, lambda: made.append(key))

    for key in "abacab":
        get(key)
    assert made == ["a", "b", "c", "b"]


def test_what_could_not_be_made_is_tried_again():
    recent = Recent(2)
    with pytest.raises(OSError, match="once"):
        recent.get("a", lambda: (_ for _ in ()).throw(OSError("once")))
    assert recent.get("a", lambda: 1) == 1


def test_another_process_makes_its_own(monkeypatch):
    recent = Recent(2)
    assert recent.get("a", lambda: 1) == 1
    recent._lock.acquire()  # by a thread that the new process does not have
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert recent.get("a", lambda: 2) == 2
