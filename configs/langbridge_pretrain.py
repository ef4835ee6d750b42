"""LangBridge's adapter, from pictures and captions: tower and decoder stay frozen.

    bridge langbridge vocab --llm qwen2=weights/qwen2 --llm llama3=weights/llama3 \\
        --corpus llava_v1_5_mix665k.json --size 19200 -o words.json
    bridge pretrain --config configs/langbridge_pretrain.py --workdir runs/adapter \\
        --config.init_from.vlm/llm=weights/qwen2:lm/llm \\
        --config.init_from.vlm/vision=weights/clip:clip

As published (arXiv 2503.19404): CLIP ViT-L/14-336, 19,200 words, 558,000 pairs in
batches of 256 at 2e-5. The adapter is trained with Qwen2-0.5B and moved by `bridge
langbridge transfer`; `:llama3_8b` and `:qwen2.5_14b` train it with those, `:mlp` is
LLaVA-1.5's connector in its place, `:tiny` a smoke test. The pairs are made from the
shapes world at 336 pixels: endless, synthetic, the right shapes for measuring speed
and fit. `langbridge_instruct.py` goes on from here.
"""

from configs import common, shapes_langbridge

# Size of the decoder -> whose vocabulary it speaks, in words.json and as a template.
LLMS = {"qwen2_0.5b": "qwen2", "llama3_8b": "llama3", "qwen2.5_14b": "qwen2"}
VARIANTS = ("", "llama3_8b", "qwen2.5_14b", "mlp", "tiny")
PAIRS, BATCH = 558_000, 256


def get_config(variant=""):
    size = variant if variant in LLMS else "qwen2_0.5b"
    steps = PAIRS // BATCH
    config = common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=model(size),
            init_from=dict(),
            processor=processor(size),
            streams=dict(
                main=dict(
                    source="shapes_interleaved",
                    batch=BATCH,
                    length=704,
                    pictures=1,
                    before=0.0,  # the picture, and then its text
                    **PICTURE,
                )
            ),
            # More words than a picture leaves room for cannot be.
            objectives=dict(sft=dict(weight=1.0, learnt=128)),
            optim=dict(
                learning_rate=2e-5,
                schedule="cosine",
                warmup_steps=steps * 3 // 100,
                trainable=((r"vlm/connector/.*", True), (r".*", False)),
            ),
            mesh=dict(data=1, fsdp=-1, tensor=1),
            rules="fsdp_tp",
            total_steps=steps,
            log_every=10,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
    if variant == "mlp":
        config.model.vlm.connector = "mlp2x_gelu"
    return tiny(config) if variant == "tiny" else config


# One square of 336 pixels: 24 x 24 patches, 576 visual tokens.
PICTURE = dict(image_size=336, num_patches=576)


def model(size):
    """CLIP's tower, the adapter, and a decoder in bfloat16, scanned."""
    return dict(
        vlm=dict(
            family="llava",
            size=size,
            llm=dict(dtype="bfloat16", remat="full", scan=True, attention="auto"),
            clip_vit=dict(dtype="bfloat16"),
            connector="langbridge",
            langbridge=dict(vision=1024, hidden=5120, vocab=19200, dtype="bfloat16"),
            words=f"words.json:{LLMS[size]}",
        )
    )


def processor(size):
    """The tokenizer is a built-in one until a folder that holds `llm` is named."""
    speaks = LLMS[size]
    return dict(
        tokenizers="",
        llm=shapes_langbridge.TOKENIZERS[speaks],
        template=speaks,
        positions="plain",
        instructions="full",
        patch=14,
        temporal=1,
        merge=1,
        layout="square",
        side=336,
    )


def tiny(config):
    """Tower, decoder, words and pictures of the shapes world, then a few steps."""
    small = shapes_langbridge.get_config("adapter-qwen2-tiny")
    config.model, config.processor = small.model, small.processor
    config.mesh = dict(data=-1, fsdp=1, tensor=1)
    for name in ("length", *PICTURE):
        del config.streams.main[name]
    return common.smoke(config)
