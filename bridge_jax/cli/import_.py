"""Read weights in the layout that others publish them in, and write ours.

SRC is a folder as on disk: config.json with model.safetensors, or with shards and their
index. Tensors keep their types, so `bridge export` writes the same bytes again.

    bridge import qwen2_vl Qwen2-VL-2B-Instruct qwen
    bridge import omnibridge OmniBridge omnibridge
    bridge import latentumm stage1_shared_latent_model.pt umm
    bridge import flax_msgpack packed unpacked
"""

import argparse
from pathlib import Path

from bridge_jax.cli import arguments, export, outputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", help="qwen2_vl, mt5, bert, omnibridge, ...")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--force", action="store_true", help="replace weights there")
    arguments.add_machine(parser)


def run(args: argparse.Namespace) -> None:
    arguments.start(args)
    from bridge_jax.checkpoint import weights_file
    from bridge_jax.cli import saved_model
    from bridge_jax.convert import run as convert

    for name in (weights_file.WEIGHTS, weights_file.CONFIG):
        outputs.check_folder(args.out, args.force, holding=name)
    if args.format in export.OURS:
        packed = args.format == "flax_msgpack"
        read = saved_model.read_packed if packed else saved_model.read
        print(read(str(args.source)).save(args.out))
        return
    print(convert.import_(args.format, args.source, args.out))
