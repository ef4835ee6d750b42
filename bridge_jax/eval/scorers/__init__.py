"""Judges of pictures: one file a judge; `--scorer NAME[:argument]` names it.

Each file has a

    class Scorer:
        def __init__(self, argument: str): ...    what follows the colon, or ""
        def judge(self, folder, pictures) -> dict[str, Judgement]: ...

`pictures` maps the path of each picture below `folder`, as published, to the
benchmark's item that it was made for. What comes back maps the same paths to what the
judge says (`eval.outside.judging.Judgement`), which the benchmark turns into its
figures. A judge that is not there is one BridgeError that says what file to give.
"""
