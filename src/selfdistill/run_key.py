"""Keys of the runs of a row: their seeds, or with folds their folds and seeds."""

from typing import NamedTuple, TypeAlias


class FoldSeed(NamedTuple):
    """Fold and seed of a run in a study with folds."""

    fold: int
    seed: int


RunKey: TypeAlias = int | FoldSeed  # the seed, where the study has no folds


def seed_of(key: RunKey) -> int:
    """Return the seed of a run.

    >>> seed_of(3), seed_of(FoldSeed(fold=1, seed=3))
    (3, 3)
    """
    return key.seed if isinstance(key, FoldSeed) else key


def in_words(key: RunKey) -> str:
    """Name a run of a row.

    >>> in_words(3), in_words(FoldSeed(fold=1, seed=3))
    ('seed 3', 'fold 1, seed 3')
    """
    return f"fold {key.fold}, seed {key.seed}" if isinstance(key, FoldSeed) else f"seed {key}"


def folder_of(key: RunKey) -> str:
    """Return the name of a run's folder.

    >>> folder_of(3), folder_of(FoldSeed(fold=1, seed=3))
    ('seed3', 'fold1-seed3')
    """
    return f"fold{key.fold}-seed{key.seed}" if isinstance(key, FoldSeed) else f"seed{key}"
