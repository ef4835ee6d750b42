"""LangBridge on the shapes world: two language models, and adapters that they share.

    bridge pretrain --config configs/shapes_langbridge.py:words-qwen2 --workdir runs/q
    bridge pretrain --config configs/shapes_langbridge.py:words-llama3 --workdir runs/l
    bridge pretrain --config configs/shapes_langbridge.py:adapter-qwen2 \\
        --workdir runs/adapter --config.init_from.vlm/llm=runs/q:vlm/llm
    bridge train --config configs/shapes_langbridge.py:instruct-qwen2 \\
        --workdir runs/tuned --config.init_from.vlm=runs/adapter:vlm

`words` sees no picture: scenes are told in words, described and asked about. In three
rows of five they are told as glances, mixtures of words for each place, so that models
so small can read such. `adapter` learns to describe pictures, tower and language model
frozen; `instruct` answers questions, the tower alone frozen. The two models differ in
tokenizer, template, width and depth. The tower is the shipped model's. Coefficients are
distributions over the words, as the paper says, since free ones, as released, may point
where one model alone finds a meaning.

`-tiny` after a name (`:adapter-qwen2-tiny`) is a smoke test;
`configs/ablate_langbridge.py` trains and compares what they make.
"""

from configs import common

# One is made as Qwen2 is, the other as LLaMA-3.
LLMS = {
    "qwen2": dict(
        vocab_size=576,
        hidden_size=128,
        layers=5,
        heads=4,
        kv_heads=1,
        head_dim=32,
        ffn_size=320,
    ),
    "llama3": dict(
        vocab_size=544,
        hidden_size=160,
        layers=4,
        heads=5,
        kv_heads=1,
        head_dim=32,
        ffn_size=384,
        qkv_bias=False,
        tied_embeddings=False,
    ),
}
TOKENIZERS = {"qwen2": "qwen2_vl", "llama3": "llama3"}
TOWER = dict(hidden_size=160)
WORDS = 80


def get_config(variant="adapter-qwen2"):
    step, _, rest = variant.partition("-")
    llm, _, tiny = rest.partition("-")
    config = {step.__name__: step for step in STEPS}[step](llm)
    config.processor = dict(
        llm=TOKENIZERS[llm], template=llm, positions="plain", instructions="short"
    )
    return common.smoke(config) if tiny else config


def words(llm):
    """A language model without eyes."""
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=dict(
                vlm=dict(
                    family="llava",
                    size="tiny",
                    llm=dict(LLMS[llm]),
                    tower="given",
                    given=dict(features=WORDS),
                    connector="mixture",
                    words=f"shapes:{TOKENIZERS[llm]}",
                )
            ),
            init_from=dict(),
            streams=dict(
                main=dict(source="shapes_text", batch=32, length=96, glances=0.6)
            ),
            objectives=dict(sft=dict(weight=1.0)),
            optim=dict(
                name="muon",
                learning_rate=5e-3,
                schedule="cosine",
                warmup_steps=50,
                final_fraction=0.02,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.995,
            ),
            total_steps=2500,
            log_every=50,
            checkpoint_every=250,
            pictures_every=0,
        )
    )


def adapter(llm):
    """The connector alone, from pictures and their captions."""
    config = words(llm)
    config.model = common.ConfigDict(
        dict(
            vlm=dict(
                family="llava",
                size="tiny",
                llm=dict(LLMS[llm]),
                qwen2_vl=dict(TOWER),
                connector="langbridge",
                langbridge=dict(
                    vision=TOWER["hidden_size"], vocab=WORDS, form="softmax"
                ),
                words=f"shapes:{TOKENIZERS[llm]}",
            )
        )
    )
    config.init_from = {
        "vlm/vision": "shapes-tiny/stage0:vlm/vision",
        "vlm/llm": f"runs/langbridge/words_{llm}:vlm/llm",
    }
    config.streams = dict(main=dict(source="shapes_caption", batch=32))
    config.optim.trainable = ((r"vlm/connector/.*", True), (r".*", False))
    config.optim.learning_rate = 3e-3
    config.total_steps = 1000
    return config


def instruct(llm):
    """Connector and language model, from questions."""
    config = adapter(llm)
    config.entry = "stage1"
    config.init_from = {"vlm": f"runs/langbridge/adapter_{llm}:vlm"}
    config.streams = dict(
        main=dict(source="shapes_instruct", batch=32, length=112, rewrite=0.0, edit=0.0)
    )
    config.optim.trainable = ((r"vlm/vision/.*", False), (r".*", True))
    config.optim.learning_rate = 2e-3
    config.total_steps = 400
    return config


STEPS = (words, adapter, instruct)
VARIANTS = (
    *(f"{step.__name__}-{llm}" for step in STEPS for llm in LLMS),
    "words-llama3-tiny",  # the others' are those of configs/langbridge_*.py
)
