"""Logits, embeddings and labels to measure."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Generator, Tensor


def logits_and_labels(rows: int = 200, classes: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random logits whose class is right more often where they are sure."""
    draws = Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=draws) * 3
    labels = torch.randint(classes, (rows,), generator=draws)
    keep = torch.rand(rows, generator=draws) < logits.softmax(dim=1).amax(dim=1) ** 2
    return logits, torch.where(keep, logits.argmax(dim=1), labels)


def embeddings_and_labels(rows: int = 120, width: int = 5, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Clouds around a point for each class."""
    draws = Generator().manual_seed(seed)
    labels = torch.randint(classes, (rows,), generator=draws)
    points = torch.randn(classes, width, generator=draws)
    return points[labels] + 0.7 * torch.randn(rows, width, generator=draws), labels


@st.composite
def any_logits(draw: Any) -> tuple[Tensor, Tensor]:
    """Few rows of coarse logits, so that ties are common."""
    classes, rows = draw(st.integers(2, 4)), draw(st.integers(1, 30))
    steps = st.lists(st.integers(-6, 6), min_size=classes, max_size=classes)
    logits = draw(st.lists(steps, min_size=rows, max_size=rows))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    return torch.tensor(logits).float(), torch.tensor(labels)
