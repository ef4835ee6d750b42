"""One file a layout. Each has

BASE        of its files' names, "model" for model.safetensors
ON_DISK     what its folder holds, in words, as people have it on their disks
IGNORED     pattern -> reason, tensors of released files that we have no use for
read        (config.json, shapes) -> the model's description, {part: {"family", ...}}
rules       {part: config} -> {part: weight table}
write       ({part: config}, config.json it came with or {}) -> config.json

and may have

spelled     tensor name -> other names that it goes by
processor   {part: config} -> fields of `data.processor.Config`
TOKENIZER   name of the folder that its tokenizer's files go to

and, where the weights are no safetensors,

FILES       names that they go by in their folder; the first is written
open_source path -> its tensors
read_about  path -> what stands in for config.json
save        (folder, tensors, what `write` gives) -> name of the file written
"""
