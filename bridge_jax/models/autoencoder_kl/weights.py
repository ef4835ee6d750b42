"""Tensor names of diffusers' AutoencoderKL (`vae/` of a diffusers folder)."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.autoencoder_kl.config import Config


def rules(config: Config) -> tuple[Rule, ...]:
    """One rule a tensor; `mid_block.attentions.0` in its present, linear form."""
    return (
        *_encoder(config),
        *_decoder(config),
        *_layer("quant_conv", "quant", "conv1x1"),
        *_layer("post_quant_conv", "post_quant", "conv1x1"),
    )


def _encoder(config: Config) -> list[Rule]:
    widths = config.block_out_channels
    table = _ends("encoder")
    width_in = widths[0]
    for level, width in enumerate(widths):
        theirs, ours = f"encoder.down_blocks.{level}", f"encoder/down_{level}"
        for index in range(config.layers_per_block):
            block = f"{theirs}.resnets.{index}"
            table += _resnet(block, f"{ours}_resnets_{index}", width_in != width)
            width_in = width
        if level < len(widths) - 1:
            table += _layer(f"{theirs}.downsamplers.0.conv", f"{ours}_sample/conv")
    return table


def _decoder(config: Config) -> list[Rule]:
    widths = config.block_out_channels[::-1]
    table = _ends("decoder")
    width_in = widths[0]
    for level, width in enumerate(widths):
        theirs, ours = f"decoder.up_blocks.{level}", f"decoder/up_{level}"
        for index in range(config.layers_per_block + 1):
            block = f"{theirs}.resnets.{index}"
            table += _resnet(block, f"{ours}_resnets_{index}", width_in != width)
            width_in = width
        if level < len(widths) - 1:
            table += _layer(f"{theirs}.upsamplers.0.conv", f"{ours}_sample/conv")
    return table


def _ends(half: str) -> list[Rule]:
    attention = f"{half}.mid_block.attentions.0"
    table = _layer(f"{half}.conv_in", f"{half}/conv_in")
    for index in (0, 1):
        block = f"{half}.mid_block.resnets.{index}"
        table += _resnet(block, f"{half}/mid/resnets_{index}", False)
    table += _norm(f"{attention}.group_norm", f"{half}/mid/attention/norm")
    for theirs, ours in (
        ("to_q", "query"),
        ("to_k", "key"),
        ("to_v", "value"),
        ("to_out.0", "out"),
    ):
        path = f"{half}/mid/attention/{ours}"
        table += _layer(f"{attention}.{theirs}", path, "transpose")
    table += _norm(f"{half}.conv_norm_out", f"{half}/norm_out")
    return table + _layer(f"{half}.conv_out", f"{half}/conv_out")


def _resnet(theirs: str, ours: str, shortcut: bool) -> list[Rule]:
    table = []
    for index in (1, 2):
        table += _norm(f"{theirs}.norm{index}", f"{ours}/norm{index}")
        table += _layer(f"{theirs}.conv{index}", f"{ours}/conv{index}")
    if shortcut:
        table += _layer(f"{theirs}.conv_shortcut", f"{ours}/shortcut", "conv1x1")
    return table


def _norm(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"{ours}/scale"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]


def _layer(theirs: str, ours: str, transform: str = "conv2d") -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"{ours}/kernel", transform),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]
