"""The scripts that start runs elsewhere: dry runs, since nothing here has a pod."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    *sorted((ROOT / "launch").rglob("*.sh")),
    ROOT / "launch" / "slurm.sbatch",
    ROOT / ".ci" / "run",
]
TRAIN = ("train", "--config", "configs/a b.py", "--workdir", "/runs/x", "--resume")
POD = ("run", "pod", "us-east5-a", *TRAIN)


@pytest.fixture
def dry(tmp_path):
    """dry(script, *words) -> what it prints; fails if it calls anything outside."""
    for name in ("gcloud", "kubectl", "xpk", "srun", "scontrol"):
        trap = tmp_path / name
        trap.write_text(f"#!/bin/sh\necho {name} was called >&2; exit 99\n")
        trap.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(script, *words, code=0):
        done = subprocess.run(
            ["bash", ROOT / "launch" / script, "--dry-run", *words],
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    tool = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [tool, "-x", "--source-path", ROOT, script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_configs_that_scripts_name_exist():
    found = set()
    for script in SCRIPTS[:-1]:
        text = script.read_text()
        found |= set(re.findall(r"configs/\w+\.py(?::[\w-]+)?", text))
    assert len(found) > 8
    for spec in sorted(found):
        name, _, variant = spec.partition(":")
        assert (ROOT / name).is_file(), spec
        module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
        assert variant in ("", *module.VARIANTS), spec


def test_a_pod_gets_the_same_command_on_every_worker(dry):
    made = shlex.split(dry("tpu_pod.sh", "create", "pod", "us-east5-a", "v5p-64"))
    assert made[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "create", "pod"]
    assert {"--accelerator-type=v5p-64", "--zone=us-east5-a"} <= {*made}
    run = shlex.split(dry("tpu_pod.sh", *POD))
    assert "--worker=all" in run
    [command] = [word for word in run if word.startswith("--command=")]
    assert "BRIDGE_JAX_DISTRIBUTED=auto" in command
    assert shlex.split(command)[-len(TRAIN) :] == [*TRAIN]
    installed = dry("tpu_pod.sh", "install", "pod", "z")
    assert "scp" in installed and '"[tpu]"' in installed
    assert "delete" in dry("tpu_pod.sh", "delete", "pod", "z")


def test_a_pod_starts_again_after_an_interruption_and_no_other_failure(tmp_path):
    """A stand-in for gcloud that exits with 42 twice, then as the test says."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        '#!/bin/sh\necho x >> "$COUNT"\n'
        '[ "$(wc -l < "$COUNT")" -gt 2 ] && exit "$LAST"\nexit 42\n'
    )
    gcloud.chmod(0o755)
    for last in (0, 2):
        count = tmp_path / f"count{last}"
        env = os.environ | {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "COUNT": str(count),
            "LAST": str(last),
        }
        script = ROOT / "launch" / "tpu_pod.sh"
        done = subprocess.run(["bash", script, *POD], env=env, check=False)
        assert done.returncode == last
        assert count.read_text() == "x\n" * 3


def test_slurm_runs_one_process_a_gpu(dry):
    words = shlex.split(dry("slurm.sbatch", *TRAIN))
    assert words[0] == "srun" and words[-len(TRAIN) :] == [*TRAIN]
    assert "--export=ALL,BRIDGE_JAX_DISTRIBUTED=auto" in words
    text = (ROOT / "launch" / "slurm.sbatch").read_text()
    lines = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    options = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines
    )
    assert options["ntasks-per-node"] == options["gpus-per-node"]
    assert options["signal"].startswith("TERM") and "requeue" in options


@pytest.mark.parametrize(
    ("topology", "hosts", "chips"), [("2x4x4", 8, 4), ("2x2x1", 1, 4), ("4x4", 4, 4)]
)
def test_the_jobset_has_a_pod_for_each_host(dry, topology, hosts, chips):
    kind = "tpu-v5p-slice" if topology.count("x") == 2 else "tpu-v6e-slice"
    made = yaml.safe_load(
        dry("gke/submit.sh", "name", "img:1", kind, topology, "3", *TRAIN)
    )
    assert (made["apiVersion"], made["kind"]) == (
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
    )
    [slices] = made["spec"]["replicatedJobs"]
    job = slices["template"]["spec"]
    pod = job["template"]["spec"]
    [container] = pod["containers"]
    assert slices["replicas"] == 3
    assert job["parallelism"] == job["completions"] == hosts
    assert container["resources"]["limits"] == {"google.com/tpu": chips}
    assert container["args"] == [*TRAIN] and container["image"] == "img:1"
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == topology
    assert {"name": "BRIDGE_JAX_DISTRIBUTED", "value": "auto"} in container["env"]


def test_bad_input_does_not_restart_the_jobset(dry):
    words = ("name", "img", "tpu-v5p-slice", "2x4x4", "1", *TRAIN)
    spec = yaml.safe_load(dry("gke/submit.sh", *words))["spec"]
    job = spec["replicatedJobs"][0]["template"]["spec"]
    [rule] = job["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob" and rule["onExitCodes"]["values"] == [2]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    first, rest = spec["failurePolicy"]["rules"]
    assert first["action"] == "FailJobSet" and rest["action"] == "RestartJobSet"


def test_all_mistakes_of_a_jobset_come_at_once(dry):
    words = ("Name", "img", "tpu-v9", "2x", "0", *TRAIN)
    told = dry("gke/submit.sh", *words, code=2)
    assert all(name in told for name in ("NAME", "ACCELERATOR", "TOPOLOGY", "SLICES"))


def test_xpk_gets_the_command(dry):
    words = shlex.split(dry("gke/xpk.sh", "c", "n", "img", "v5p-64", "2", *TRAIN))
    assert {"--tpu-type=v5p-64", "--num-slices=2"} <= {*words}
    assert shlex.split(words[-1])[-len(TRAIN) :] == [*TRAIN]


@pytest.mark.parametrize("script", ["tpu_pod.sh", "slurm.sbatch", "gke/submit.sh"])
def test_too_few_words_print_the_usage(dry, script):
    assert f"launch/{script}" in dry(script, code=2)


def test_the_image_copies_what_the_package_needs():
    text = (ROOT / "launch" / "Dockerfile").read_text()
    copied = {
        word
        for line in text.splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    }
    assert {"setup.py", "README.md", ".constraints.txt", "bridge_jax"} <= copied
    assert all((ROOT / name).exists() for name in copied)
