"""Bytes on the wires, by hand, from texts as XLA writes them."""

from bridge_jax.plan import collectives

TEXT = """HloModule jit_run, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%body (state: (s32[], f32[64])) -> (s32[], f32[64]) {
  %g = bf16[1,64,32]{2,1,0} all-gather(%s), replica_groups=mesh['x'=4,'y'=2] {'x'}
  %f = f32[16]{0} fusion(%g), kind=kCustom, calls=%all-reduce-scatter.1
}

%all-reduce-scatter.1 (input: f32[64]) -> f32[16] {
  %r = f32[64]{0} all-reduce(%input), replica_groups={{0,1,2,3},{4,5}}, to_apply=%add
  ROOT %d = f32[16]{0} dynamic-slice(%r, %i), dynamic_slice_sizes={16}
}

%condition (state: (s32[], f32[64])) -> pred[] {
  %limit = s32[]{:T(128)} constant(5)
  %turn = s32[] get-tuple-element(%state), index=0
  ROOT %less = pred[] compare(%turn, %limit), direction=LT
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %w = (s32[], f32[64]) while(%start), condition=%condition, body=%body
  %p = f32[10]{0} collective-permute(%x), source_target_pairs={{0,1},{1,0}}
  %a = (f32[6]{0}, f32[2]{0}) all-reduce(%x, %y), replica_groups=[4,2]<=[8]
  %s = (f32[8]{0}, f32[32]{0}) all-gather-start(%x), replica_groups={{0,1,2,3}}
  %t = (f32[32], f32[4]) reduce-scatter-start(%x), replica_groups={{0,1,2,3,4,5,6,7}}
  %u = ((f32[2], f32[3]), (f32[4], f32[6])) all-gather-start(%x), replica_groups={{0,1}}
  %v = (f32[9]{0}, f32[9]{0}, u32[], u32[]) collective-permute-start(%x)
  ROOT %e = f32[32]{0} all-gather-done(%s)
}
"""


def test_bytes_by_hand():
    assert collectives.sent(TEXT) == {
        # five turns of 64 * 32 bf16 numbers, and one of 32 float32 ones
        "all-gather": 5 * 64 * 32 * 2 * 3 / 4 + 32 * 4 * 3 / 4 + 40 / 2,
        "reduce-scatter": 5 * 64 * 4 * 3 / 4 + 4 * 4 * 7,
        "collective-permute": 40.0 + 36.0,
        "all-reduce": 2 * (6 + 2) * 4 * 1 / 2,
    }


def test_a_number_of_turns_that_xla_tells_is_taken():
    known = 'body=%body, backend_config={"known_trip_count":{"n":"7"}}'
    found = collectives.sent(TEXT.replace("body=%body", known))
    assert found["reduce-scatter"] == 7 * 64 * 4 * 3 / 4 + 4 * 4 * 7


def test_a_loop_without_a_known_end_counts_one_turn():
    found = collectives.sent(TEXT.replace("direction=LT", "direction=EQ"))
    assert found["reduce-scatter"] == 64 * 4 * 3 / 4 + 4 * 4 * 7


def test_each_is_found_with_what_it_leaves_and_how_often_it_runs():
    found = collectives.found(TEXT)
    first, scattered = found[:2]
    assert first.kind == "all-gather" and first.times == 5
    assert first.arrays == (("bf16", (1, 64, 32)),)
    assert first.largest == 64 * 32 * 2
    assert scattered.kind == "reduce-scatter"
    pair = next(one for one in found if len(one.arrays) == 2)
    assert (pair.kind, pair.largest) == ("all-reduce", 24.0)
