"""Does an adapter that speaks in words move between language models? On shapes.

    bash launch/langbridge.sh

runs all of it: two language models learn without eyes; `:adapters` trains connectors
with both; `bridge langbridge transfer` moves those of one to the other; and the default
tunes that one with instructions, or asks it untuned. `:tiny` and `:adapters-tiny` are
smoke tests. `:cost` is what the adapter costs at published size, never run:

    bridge ablate --config configs/ablate_langbridge.py:cost --out runs/cost \\
        --config.base=configs/langbridge_instruct.py:qwen2.5_14b --dry-run
"""

from configs import common, shapes_langbridge

VARIANTS = ("", "adapters", "cost", "tiny", "adapters-tiny")
HOME = "runs/langbridge"
FRESH = {
    "vlm/vision": "shapes-tiny/stage0:vlm/vision",
    "vlm/llm": f"{HOME}/words_llama3:vlm/llm",
}
# With no adapter training, and without any.
LLM_ALONE = dict(optim=dict(trainable=((r"vlm/llm/.*", True), (r".*", False))))
UNTUNED = dict(total_steps=0, optim=dict(warmup_steps=0))
BRIEFLY = dict(total_steps=100)  # a quarter


def get_config(variant=""):
    if variant == "cost":
        return _cost()
    config = _adapters() if variant.startswith("adapters") else _tuned()
    if variant.endswith("tiny"):
        step = "pretrain" if variant.startswith("adapters") else "instruct"
        config.base = f"configs/langbridge_{step}.py:tiny"  # which starts from nothing
        config.every = dict()
        config.arms = dict(mlp=dict(model=dict(vlm=dict(connector="mlp2x_gelu"))))
        config.groups = dict(both=("baseline", "mlp"))
        config.seeds = (0,)
        config.measure.limit = 4
    return config


def _adapters():
    """Connectors learn to describe with one of two frozen language models."""
    mlp = dict(model=dict(vlm=dict(connector="mlp2x_gelu")))
    return common.ConfigDict(
        dict(
            base="configs/shapes_langbridge.py:adapter-qwen2",
            every=dict(),
            arms=dict(
                mlp=mlp,
                llama3=_llama3(),
                llama3_mlp=_llama3() | dict(model=_joined(_llama3()["model"], mlp)),
            ),
            groups=dict(connectors=("baseline", "mlp", "llama3", "llama3_mlp")),
            seeds=(0, 1, 2),
            measure=_measure(),
            figures=("vqa/exact_match",),
            curves=("sft",),
        )
    )


def _tuned():
    """The baseline is the native LangBridge: adapter and LLaMA-3 tuned together."""
    mlp = dict(model=dict(vlm=dict(connector="mlp2x_gelu")))
    return common.ConfigDict(
        dict(
            base="configs/shapes_langbridge.py:instruct-llama3",
            every=dict(init_from=dict(vlm=_adapter("llama3"))),
            arms=dict(
                kept=LLM_ALONE,  # the native adapter, which is not tuned, either
                mlp=mlp | _from(_adapter("llama3_mlp")),
                moved=LLM_ALONE | _from(_moved("langbridge")),
                moved_mlp=mlp | LLM_ALONE | _from(_moved("mlp")),
                moved_briefly=LLM_ALONE | BRIEFLY | _from(_moved("langbridge")),
                moved_mlp_briefly=mlp | LLM_ALONE | BRIEFLY | _from(_moved("mlp")),
                untuned=UNTUNED,
                moved_untuned=UNTUNED | _from(_moved("langbridge")),
                moved_mlp_untuned=mlp | UNTUNED | _from(_moved("mlp")),
                # An adapter that has learnt nothing: what can be guessed.
                guessing=UNTUNED | dict(init_from=dict(vlm=None, **FRESH)),
            ),
            groups=dict(
                tuned=(
                    "baseline",
                    "kept",
                    "mlp",
                    "moved",
                    "moved_mlp",
                    "moved_briefly",
                    "moved_mlp_briefly",
                ),
                untuned=(
                    "baseline",
                    "untuned",
                    "moved_untuned",
                    "moved_mlp_untuned",
                    "guessing",
                ),
            ),
            seeds=(0, 1, 2),
            measure=_measure(),
            figures=("vqa/exact_match",),
            curves=("sft",),
        )
    )


def _cost():
    """Which words they are changes no price."""
    words = dict(model=dict(vlm=dict(words=tuple(range(19200)))))
    return common.ConfigDict(
        dict(
            base="configs/langbridge_instruct.py:llama3_8b",
            every=words,
            arms=dict(mlp=dict(model=dict(vlm=dict(connector="mlp2x_gelu")))),
            measure=dict(tasks=()),
            figures=("train/sft",),
        )
    )


def _llama3():
    """A change: the other language model."""
    llm = "llama3"
    made = shapes_langbridge.get_config(f"adapter-{llm}")
    return dict(
        model=dict(vlm=dict(llm=made.model.vlm.llm, words=made.model.vlm.words)),
        processor=made.processor,
        init_from=dict(made.init_from),
    )


def _joined(model, other):
    return dict(vlm=model["vlm"] | other["model"]["vlm"])


def _from(source):
    return dict(init_from=dict(vlm=source))


def _adapter(arm):
    return f"{HOME}/adapters/{arm}/seed_{{seed}}/run:vlm"


def _moved(connector):
    return f"{HOME}/moved/{connector}_{{seed}}:vlm"


def _measure():
    return dict(tasks=("vqa",), split="heldout", options=dict(questions=4000))
