"""One of two processes that evaluate together, by lmms-eval's functions.

By its command line gloo cannot count requests (lmms-eval 0.7.3). In the folder where it
runs it leaves how many questions it was asked and, as the first, what was answered.

    python one_of_two.py TASKS ADDRESS
"""

import json
import os
import sys
from pathlib import Path

home, address = sys.argv[1:]
rank = os.environ["RANK"]
if address:  # else neither jax knows of the other
    os.environ["BRIDGE_JAX_DISTRIBUTED"] = f"{address},2,{rank}"

from lmms_eval import evaluator, tasks

from bridge_jax.eval.lmms import harness

answers, count = harness.answers, []


def counted(model, questions, *rest):
    count.append(len(questions))
    return answers(model, questions, *rest)


harness.answers = counted
results = evaluator.simple_evaluate(
    model="bridge_jax",
    model_args="pretrained=shapes-tiny",
    tasks=["shapes_questions"],
    task_manager=tasks.TaskManager(include_path=home, include_defaults=False),
    batch_size=16,
    limit=47,
    distributed_executor_backend="accelerate",
)
Path(f"{rank}.count").write_text(str(sum(count)))
if rank == "0":
    samples = results["samples"]["shapes_questions"]
    found = sorted((one["doc_id"], one["filtered_resps"][0]) for one in samples)
    Path("found.json").write_text(json.dumps(found))
