import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from selfdistill.metrics.ood import auroc_and_fpr95, ood_detection
from tests.helpers.metric_rows import logits_and_labels

SCORES = st.lists(st.integers(-40, 40), min_size=1, max_size=40).map(lambda each: torch.tensor(each).double())


def by_scikit_learn(known, strange):
    truth = [1] * len(known) + [0] * len(strange)
    scores = [*known.tolist(), *strange.tolist()]
    passed, found, _ = roc_curve(truth, scores, drop_intermediate=False)
    return {"auroc": 100 * roc_auc_score(truth, scores), "fpr95": 100 * passed[found >= 0.95].min()}


@settings(max_examples=60)
@given(SCORES, SCORES)
def test_separation_is_scikit_learns(known, strange):
    assert auroc_and_fpr95(known, strange) == pytest.approx(by_scikit_learn(known, strange), abs=1e-3)


def test_large_scores_are_not_squashed():
    known, strange = 50 + torch.arange(100.0).double(), 30 + torch.arange(100.0).double()
    assert auroc_and_fpr95(known, strange) == pytest.approx(by_scikit_learn(known, strange), abs=1e-3)


def test_by_hand():
    known, strange = torch.tensor([[9.0, 0], [8, 0], [0, 7]]), torch.tensor([[1.0, 0], [0.5, 0], [0, 0]])
    perfect = {"auroc": 100.0, "fpr95": 0.0}
    assert ood_detection(known, strange) == {"max_softmax": perfect, "energy": perfect}
    assert ood_detection(strange, known)["energy"] == {"auroc": 0.0, "fpr95": 100.0}


def test_softmax_and_energy_see_different_things():
    logits, _ = logits_and_labels()
    shifted = ood_detection(logits + 5, logits)  # softmax knows no shift
    assert shifted["max_softmax"]["auroc"] == pytest.approx(50, abs=0.2)
    assert shifted["energy"]["auroc"] > 80
