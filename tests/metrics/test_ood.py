import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from selfdistill.metrics.ood import auroc_and_fpr95, max_softmax, negative_energy, ood_detection
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
    assert auroc_and_fpr95(known, strange) == pytest.approx(by_scikit_learn(known, strange), abs=1e-9)


def test_large_scores_are_not_squashed():
    known, strange = 50 + torch.arange(100.0).double(), 30 + torch.arange(100.0).double()
    assert auroc_and_fpr95(known, strange) == pytest.approx(by_scikit_learn(known, strange), abs=1e-9)


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


@pytest.mark.parametrize("shift", [38, 100, 1e3, 1e4, 1e6])
def test_gaps_that_round_to_one_are_told_apart(shift):
    known, strange = torch.zeros(3, 4), torch.zeros(3, 4)
    known[:, 0] = shift + 10 * torch.tensor([1.0, 2, 3])
    strange[:, 1] = shift + torch.tensor([1.0, 2, 3])
    perfect = {"auroc": 100.0, "fpr95": 0.0}
    assert ood_detection(known, strange) == {"max_softmax": perfect, "energy": perfect}
    assert ood_detection(strange, known)["max_softmax"] == {"auroc": 0.0, "fpr95": 100.0}


def test_the_score_has_the_order_of_the_probability():
    logits, _ = logits_and_labels(300)
    probability = logits.double().softmax(dim=1).amax(dim=1)
    assert max_softmax(logits).argsort().tolist() == probability.argsort().tolist()


def test_scores_of_permuted_classes_are_ties():
    draws = torch.Generator().manual_seed(0)
    row = torch.randn(50, generator=draws) * 10
    known = torch.stack([row[torch.randperm(50, generator=draws)] for _ in range(40)])
    want = {"auroc": 50.0, "fpr95": 100.0}
    assert ood_detection(known, known.flip(0, 1)) == {"max_softmax": want, "energy": want}


@pytest.mark.parametrize("known", [1, 19, 20, 21, 100, 101, 180])
def test_the_threshold_accepts_at_least_95_percent(known):
    scores = torch.arange(known).double()
    found = auroc_and_fpr95(scores, scores - 0.5)
    assert found == pytest.approx(by_scikit_learn(scores, scores - 0.5), abs=1e-9)
    assert found["fpr95"] == pytest.approx(100 * (math.ceil(19 * known / 20) - 1) / known)


def test_energies_beyond_float32():
    assert negative_energy(torch.tensor([[1e38, 1e38]])).item() == pytest.approx(1e38, rel=1e-6)
    assert ood_detection(torch.tensor([[3e38, 0]]), torch.tensor([[1e38, 0]]))["energy"]["auroc"] == 100
