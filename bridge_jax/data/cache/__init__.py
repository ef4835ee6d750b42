"""What frozen parts make of training's rows, made once and found by content.

A caption is a function of the LLM, what it is asked and how it answers; an mT5 state of
mT5 and a caption. So a record is named by a digest of what it was made of, and it does
not matter in which order, epoch, batch or process a row is met.

    cache.json                    what made it all: see `origin`
    captions-00000.array_record   records, each with a checksum: see `records`
    captions-00000.names          their names; a shard counts once this file is there
"""
