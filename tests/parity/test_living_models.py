"""Models of transformers and diffusers, alive: their folders imported, run forward and
backward, exported, and loaded again by them.

Outputs and every parameter's gradient are compared in float32; bfloat16 within what its
8 bits give. What comes back into their library is the same model, bit for bit.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import hardware
from bridge_jax.core import weights as weights_lib
from bridge_jax.models import build

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")

from living import error
from living_cases import CASES

COMPOSED = 1e-4
# bfloat16 keeps 8 bits and a few layers add up. Where they add up to more, ours may be
# twice as far from float32 as torch's own bfloat16 (autocast) is.
HALF = 1.5e-2


@pytest.fixture(scope="module", params=list(CASES))
def case(request, tmp_path_factory):
    return CASES[request.param](tmp_path_factory.mktemp(request.param))


def test_comes_back_bit_for_bit(case):
    case.moved.check_same()


def test_outputs_and_gradients(case, tmp_path):
    wanted = case.theirs()
    rng = np.random.default_rng(1)
    pull = rng.standard_normal(wanted.shape).astype(np.float32) / wanted.numel()

    def loss(params):
        out = case.ours(case.moved.bundle, params)
        return jnp.sum(out * pull), out

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, out), gradients = step(case.moved.params)
    assert error(out, wanted) < COMPOSED < error(out * 1.01, wanted)

    case.moved.theirs.zero_grad()
    (wanted * torch.from_numpy(pull)).sum().backward()
    ours = weights_lib.flatten(gradients)
    theirs = weights_lib.flatten(case.moved.gradients(tmp_path))
    assert ours.keys() == theirs.keys()
    # A key's bias moves no softmax: what is left of its gradient is rounding.
    least = 1e-3 * max(np.abs(one).max() for one in theirs.values())
    wrong = {
        name: float(gap)
        for name, one in theirs.items()
        if (gap := np.abs(ours[name] - one).max() / max(np.abs(one).max(), least))
        > COMPOSED
    }
    assert not wrong


@pytest.mark.parametrize("one_cpu", [True, False])
def test_bfloat16_stays_near(case, one_cpu, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)
    model = case.moved.bundle.description()
    half = build.build({**model, case.part: {**model[case.part], "dtype": "bfloat16"}})
    program = jax.jit(lambda params: case.ours(half, params)).lower(case.moved.params)
    assert ("LayoutConstraint" in program.as_text()) == one_cpu
    out = program.compile()(case.moved.params)
    with torch.no_grad():
        wanted = case.theirs()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            theirs = error(case.theirs().float(), wanted)
    assert COMPOSED < error(out.astype(jnp.float32), wanted) < max(HALF, 2 * theirs)
