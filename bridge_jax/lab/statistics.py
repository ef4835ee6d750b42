"""What a few seeds say: means, standard errors, paired differences to the baseline."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

CONFIDENCE = 0.95
_ROUNDING = 1e-12  # of the largest: no more than this is nothing


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds and its standard error, nan for a single one."""

    mean: float
    error: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside of Student's 95 % interval: n - 1 degrees of freedom.

        With three seeds that takes 4.3 standard errors. Shares of a few questions may
        come out equal for a few seeds by chance, which says nothing of their spread.
        """
        if self.n < 2 or self.error == 0:
            return False
        reach = special.stdtrit(self.n - 1, 0.5 + CONFIDENCE / 2) * self.error
        return bool(abs(self.mean) > reach)


def estimate(values: Sequence[float]) -> Estimate:
    """Of at least one value."""
    sample = np.asarray(values, np.float64)
    n = len(sample)
    mean = float(sample.mean())
    error = float(sample.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    least = _ROUNDING * np.abs(sample).max()
    mean, error = (0.0 if abs(one) < least else one for one in (mean, error))
    return Estimate(mean, error, n)


def difference(
    arm: Mapping[int, float], baseline: Mapping[int, float]
) -> Estimate | None:
    """Arm minus baseline over the seeds that both have, pair by pair.

    The same seed sees the same data in both, so most of what varies from seed to seed
    cancels. None without a common seed.
    """
    common = sorted(arm.keys() & baseline.keys())
    if not common:
        return None
    return estimate([arm[seed] - baseline[seed] for seed in common])
