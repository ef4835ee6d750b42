"""Pieces that several configs share. Imports nothing but ml_collections."""

import ml_collections

ConfigDict = ml_collections.ConfigDict

# The tiny OmniBridge: the full architecture at sizes for two CPU cores, <= 24 MB.
TINY_VLM = dict(
    family="qwen2_vl",
    size="tiny",
    vocab_size=576,
    hidden_size=160,
    layers=5,
    heads=5,
    kv_heads=1,
    ffn_size=384,
    # Of bridge_jax/data/tokenizers/qwen2_vl.
    image_pad=568,
    video_pad=569,
    vision_start=565,
    vision_end=566,
    eos=558,
    pad=556,
)
TINY = dict(
    vlm=TINY_VLM,
    projector=dict(family="projector", size="tiny", hidden=160),
    aligner=dict(family="bitransformer", size="tiny"),
    retrieval=dict(family="retrieval", size="tiny"),
    mt5=dict(family="mt5", size="tiny", vocab=256),
    bert=dict(family="bert", size="tiny", vocab=256),
    dit=dict(
        family="hunyuan_dit",
        size="tiny",
        hidden=240,
        heads=6,
        depth=6,
        mlp_ratio=2.5,
        pooler_out=128,
    ),
    vae=dict(
        family="autoencoder_kl",
        size="tiny",
        block_out_channels=(16, 32, 64, 64),
        scaling_factor=1.45,  # 1 / root mean square of its latents, as logged
    ),
)

# The published OmniBridge-7B; its published LLM has smaller and larger sisters.
LLM_WIDTHS = {"2b": 1536, "7b": 3584, "72b": 8192}
PUBLISHED = dict(
    vlm=dict(family="qwen2_vl", size="7b"),
    projector=dict(family="projector", size="7b"),
    aligner=dict(family="bitransformer", size="xl"),
    retrieval=dict(family="retrieval", size="xl"),
    mt5=dict(family="mt5", size="xl"),
    bert=dict(family="bert", size="hunyuan_dit"),
    dit=dict(family="hunyuan_dit", size="g2"),
    vae=dict(family="autoencoder_kl", size="sdxl"),
)
# Qwen2-VL's patches and prompts, HunyuanDiT's text lengths. The tokenizers are the
# built-in ones until a folder with qwen2_vl/, mt5/ and bert/ is named.
PUBLISHED_PROCESSOR = dict(
    tokenizers="",
    instructions="full",
    patch=14,
    temporal=2,
    merge=2,
    min_pixels=56 * 56,
    max_pixels=28 * 28 * 1280,
    t5_length=256,
    bert_length=77,
    memory_length=256,
)

# Pictures of 512 pixels a side: 504 after Qwen2-VL's resizing, 36 x 36 patches.
IMAGE = dict(image_size=512, num_patches=1296)
IMAGE_TOKENS = 324


def published(size, *names):
    """The named parts of OmniBridge with an LLM of that size, for training at scale.

    bfloat16 compute on float32 masters, stacks scanned and rematerialised.
    """
    config = parts(PUBLISHED, *names)
    for name in names:
        if name not in ("vae", "projector", "retrieval"):
            config[name].update(dtype="bfloat16", remat="full", scan=True)
        if name in ("vlm", "dit"):
            config[name].attention = "auto"  # splash on TPU, cuDNN on GPU
    if "vlm" in config:
        config.vlm.size = size
    if "projector" in config:
        config.projector.hidden = LLM_WIDTHS[size]
    if "vae" in config:
        config.vae.dtype = "bfloat16"
    return config


def one_stream(**streams):
    """A change to the quickstart's second stage, for experiments, and to its streams.

    What guides the decoder and what draws learns from the same rows.
    """
    return dict(
        streams=dict(draw=None, **streams),
        objectives=dict(diffusion=dict(stream="generate")),
    )


def parts(table, *names):
    """The named parts of a table of parts, as a ConfigDict."""
    return ConfigDict({name: dict(table[name]) for name in names})


def recipe(recipes, variant, default):
    """The config of a file of several recipes: `name`, `name-tiny`, or `tiny`.

    Without a name it is that of `default`.
    """
    name, _, tiny = (variant or default).partition("-")
    if name == "tiny":
        name, tiny = default, "tiny"
    config = {one.__name__: one for one in recipes}[name]()
    return smoke(config) if tiny else config


def variants(recipes):
    """All that `recipe` knows."""
    names = tuple(one.__name__ for one in recipes)
    return (*names, *(f"{name}-tiny" for name in names), "tiny")


def smoke(config):
    """`:tiny` of a recipe: a few steps, small batches, nothing to start from."""
    config.init_from = ConfigDict()
    config.total_steps = 4
    config.log_every = 2
    config.checkpoint_every = 4
    config.pictures_every = 0
    config.reader_processes = 0
    config.optim.warmup_steps = 0
    for stream in config.streams.values():
        stream.batch = 8
    return config


def tiny(config):
    """`:tiny` of a published size: every part at its tiny size, then `smoke`."""
    config.model = parts(TINY, *config.model)
    config.processor = ConfigDict()
    config.mesh = dict(data=-1, fsdp=1, tensor=1)
    for stream in config.streams.values():
        for name in (
            "length",
            "image_length",
            "text_length",
            "num_patches",
            "image_size",
        ):
            if name in stream:
                del stream[name]
    return smoke(config)
