import subprocess
import sys

import syntype

PUBLIC = [
    "ClusterConfig",
    "Clusters",
    "DataConfig",
    "Dataset",
    "EmbedConfig",
    "Embeddings",
    "Encoder",
    "EvaluateConfig",
    "Pictures",
    "Scores",
    "SweepConfig",
    "SyntypeError",
    "TrainConfig",
    "Workplace",
    "__version__",
    "adapt",
    "cluster",
    "embed",
    "finetune",
    "load_dataset",
    "load_encoder",
    "resample",
    "retrieve",
    "run_sweep",
]


def test_public_names_are_these() -> None:
    """What is not listed here is not promised to anyone; a change here is a change for users."""
    assert sorted(syntype.__all__) == PUBLIC
    assert sorted([*syntype._HOME, "__version__"]) == PUBLIC


def test_every_public_name_is_there_and_knows_its_name() -> None:
    for name in PUBLIC:
        found = getattr(syntype, name)
        assert name == "__version__" or found.__name__ == name


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import syntype, sys; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
