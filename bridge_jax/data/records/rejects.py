"""Records that cannot be used: counted by reason, told by name, and only so many."""

import collections
import threading
from collections.abc import Mapping

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError

LEAST = 100  # records are taken to have been read before a share means anything
TOLD = 20  # one by one; the rest are counted


class Rejects:
    """Of one corpus in this process, shared by the threads that read it.

    Attributes:
      most: the largest share of the records read that may be of no use.
      least: so many are taken to be read, even if fewer are.
      tell: so many are told one by one.
      counts: reason -> number of records.
      examples: reason -> the first of them.
    """

    def __init__(self, most: float, least: int = LEAST, tell: int = TOLD):
        self.most, self.least, self.tell = most, least, tell
        self.counts: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self._read = 0
        self._lock = threading.Lock()

    def read(self) -> None:
        """One more record was read."""
        with self._lock:
            self._read += 1

    def add(self, reason: str, what: str) -> None:
        """It is of no use: `what` has its name.

        Raises:
          BridgeError: too many are.
        """
        with self._lock:
            self.counts[reason] += 1
            self.examples.setdefault(reason, what)
            bad = self.counts.total()
            if bad <= self.tell:
                log.say(f"left out ({reason}): {what}")
            if bad > self.most * max(self._read, self.least):
                raise BridgeError(
                    f"{bad} of {self._read} records are of no use, more than the share"
                    f" of {self.most:g} that may be ({self._told()}); the last: {what}"
                )

    def recall(self, counts: Mapping[str, int], examples: Mapping[str, str]) -> None:
        """Count what was found when all records were read before.

        Raises:
          BridgeError: too many are.
        """
        with self._lock:
            self.counts.update(counts)
            self.examples |= examples
            bad = self.counts.total()
            if bad > self.most * self.least:
                raise BridgeError(
                    f"{bad} of {self.least} records are of no use, more than the share"
                    f" of {self.most:g} that may be ({self._told()}); one of them:"
                    f" {next(iter(self.examples.values()))}"
                )

    def told(self) -> str:
        """ "3 picture, 1 record": how many for each reason, most first."""
        with self._lock:
            return self._told()

    def _told(self) -> str:
        return ", ".join(f"{n} {reason}" for reason, n in self.counts.most_common())


class Useless(Exception):
    """A record that cannot be used.

    Attributes:
      reason: a word that those like it share.
    """

    def __init__(self, reason: str, what: str):
        super().__init__(what)
        self.reason = reason
