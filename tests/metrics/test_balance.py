import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score

from selfdistill.metrics.balance import balance_metrics


@pytest.mark.parametrize("seed", range(4))
def test_both_are_scikit_learns(seed):
    draws = torch.Generator().manual_seed(seed)
    logits = torch.randn(60, 6, generator=draws)
    labels = torch.multinomial(torch.tensor([0.6, 0.2, 0.1, 0.1]), 60, replacement=True, generator=draws)
    found, guess = balance_metrics(logits, labels), logits.argmax(dim=1)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        recall = balanced_accuracy_score(labels, guess)
    assert found == pytest.approx(
        {"balanced_accuracy": 100 * recall, "macro_f1": 100 * f1_score(labels, guess, average="macro")}
    )


def test_a_class_that_is_always_guessed():
    logits = torch.tensor([[1.0, 0.0]]).repeat(10, 1)
    found = balance_metrics(logits, torch.tensor([0] * 9 + [1]))
    assert found == pytest.approx({"balanced_accuracy": 50.0, "macro_f1": 50 * 18 / 19})
