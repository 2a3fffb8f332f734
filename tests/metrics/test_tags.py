import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score
from torch.testing import assert_close
from torchmetrics.functional.classification import multilabel_average_precision

from selfdistill.errors import UserError
from selfdistill.metrics.tags import average_precisions, best_thresholds, f1_scores, tag_metrics, tag_rows


def images(count=60, tags=5, unknown=0.2, seed=0):
    """Coarse logits, so that ties are common, and labels that follow them."""
    draws = torch.Generator().manual_seed(seed)
    logits = (4 * torch.randn(count, tags, generator=draws)).round() / 2
    labels = (logits + 2 * torch.randn(count, tags, generator=draws) > 0.5).long()
    return logits, labels.masked_fill(torch.rand(count, tags, generator=draws) < unknown, -100)


def precision_by_loop(logits, labels):
    """Average precision of a tag from its definition: thresholds from the highest logit down."""
    rows = [(z, y) for z, y in zip(logits.tolist(), labels.tolist(), strict=True) if y != -100]
    positives, area, recall = sum(y for _, y in rows), 0.0, 0.0
    for threshold in sorted({z for z, _ in rows}, reverse=True):
        taken = [y for z, y in rows if z >= threshold]
        area += (sum(taken) / positives - recall) * sum(taken) / len(taken)
        recall = sum(taken) / positives
    return 100 * area


def f1_by_loop(logits, labels, threshold):
    rows = [(z >= threshold, y == 1) for z, y in zip(logits.tolist(), labels.tolist(), strict=True) if y != -100]
    right, wrong = sum(guess and y for guess, y in rows), sum(guess != y for guess, y in rows)
    return 100 * 2 * right / (2 * right + wrong)


def test_average_precision_is_its_definition():
    logits, labels = images()
    want = [precision_by_loop(logits[:, k], labels[:, k]) for k in range(5)]
    assert average_precisions(logits, labels).tolist() == pytest.approx(want)
    assert tag_metrics(logits, labels)["map"] == pytest.approx(sum(want) / 5)


def test_it_agrees_with_scikit_learn_and_torchmetrics():
    logits, labels = images(unknown=0)
    found = tag_metrics(logits, labels)
    assert found["map"] == pytest.approx(100 * average_precision_score(labels.numpy(), logits.numpy(), average="macro"))
    guess = (logits >= 0).numpy()
    assert found["micro_f1"] == pytest.approx(100 * f1_score(labels.numpy(), guess, average="micro"))
    assert found["macro_f1"] == pytest.approx(100 * f1_score(labels.numpy(), guess, average="macro"))
    unknown, hidden = images()
    theirs = multilabel_average_precision(unknown, hidden, 5, average="none", ignore_index=-100)
    assert_close(average_precisions(unknown, hidden).float(), 100 * theirs)


def test_f1_is_its_definition():
    logits, labels = images()
    thresholds = torch.tensor([0.0, 1.0, -1.0, 0.5, 2.0])
    micro, macro = f1_scores(logits, labels, thresholds)
    want = [f1_by_loop(logits[:, k], labels[:, k], float(thresholds[k])) for k in range(5)]
    assert macro == pytest.approx(sum(want) / 5)
    shifted = logits - thresholds
    assert micro == pytest.approx(f1_by_loop(shifted.flatten(), labels.flatten(), 0))


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from([0, 1, -100])), min_size=1, max_size=12))
def test_no_threshold_is_better_than_the_chosen_one(rows):
    logits, labels = (torch.tensor(each)[:, None] for each in zip(*rows, strict=True))
    if not (labels == 1).any():
        return
    best = float(best_thresholds(logits.float(), labels))
    tried = {z: f1_by_loop(logits[:, 0], labels[:, 0], z) for z, y in rows if y != -100}
    assert tried[best] == pytest.approx(max(tried.values()))
    assert all(score < max(tried.values()) - 1e-9 for z, score in tried.items() if z > best)


def test_thresholds_of_the_validation_set_are_used_on_the_test_set():
    (logits, labels), (test_logits, test_labels) = images(), images(seed=1)
    chosen = best_thresholds(logits - 3, labels)
    found = tag_metrics(test_logits - 3, test_labels, chosen)
    assert (found["micro_f1_chosen"], found["macro_f1_chosen"]) == f1_scores(test_logits - 3, test_labels, chosen)
    assert found["macro_f1_chosen"] > found["macro_f1"]  # shifted logits, so that 0 is far too high


def test_sure_logits_stay_in_order():
    logits = torch.tensor([[60.0], [50.0], [40.0]])  # of probability 1 in float64
    assert average_precisions(logits, torch.tensor([[1], [1], [0]])).item() == 100
    assert average_precisions(logits, torch.tensor([[0], [1], [1]])).item() < 60


@pytest.mark.parametrize("nothing", [0, -100])
def test_tags_without_a_positive_are_left_out_and_counted(nothing):
    logits, labels = images()
    labels[:, 1] = nothing
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tag_metrics(logits, labels, best_thresholds(logits, labels))
    kept = [0, 2, 3, 4]
    others = tag_metrics(logits[:, kept], labels[:, kept])
    assert found["tags_left_out"] == 1
    assert found["map"] == pytest.approx(others["map"])
    assert found["macro_f1"] == pytest.approx(others["macro_f1"])
    assert (found["micro_f1"] < others["micro_f1"]) == (nothing == 0)  # what is wrongly said to be there counts
    assert best_thresholds(logits, labels)[1] == 0


def test_an_unknown_label_changes_nothing():
    logits, labels = images()
    other = logits.masked_fill(labels == -100, torch.nan)
    assert tag_metrics(other, labels) == tag_metrics(logits, labels)
    assert tag_metrics(logits, labels.float()) == tag_metrics(logits, labels)


def test_rows_of_tags():
    logits, labels = images()
    labels[:, 1] = 0
    rows = tag_rows(logits, labels, list("abcde"))
    assert rows[1] == {"class": "b", "positives": 0, "ap": None, "f1": None}
    assert rows[0]["f1"] == pytest.approx(f1_by_loop(logits[:, 0], labels[:, 0], 0))
    assert [row["ap"] for row in rows if row["ap"]] == pytest.approx(
        [each for each in average_precisions(logits, labels).tolist() if each == each]
    )
    assert tag_rows(logits, labels, list("abcde"), torch.full((5,), 99.0))[0]["f1"] == 0


ONE = torch.ones(2, 1)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2), r"labels of the same shape, but got \[2, 3\] and \[2\]; pass at least"),
        (torch.zeros(0, 3), torch.zeros(0, 3), r"got \[0, 3\] and \[0, 3\]; pass at least one image"),
        (torch.zeros(2, 1), 0.3 * ONE, r"2 of 2 labels of tags are neither 0 nor 1, such as 0.3; write -100 where"),
        (torch.zeros(2, 1), -ONE, r"such as -1; write -100 where a label is unknown"),
        (torch.zeros(2, 1), 0 * ONE, r"no image has any of the 1 tags, so there is nothing to measure"),
        (torch.nan * ONE, ONE, r"logits of 2 of 2 images are NaN or infinite \(the first: image 0\)"),
    ],
)
def test_what_does_not_fit_is_answered(logits, labels, message):
    with pytest.raises(UserError, match=message):
        tag_metrics(logits, labels)


def test_as_many_thresholds_as_tags_are_wanted():
    with pytest.raises(UserError, match=r"5 tags need as many thresholds, but got \[3\]; pass \[tags\]"):
        f1_scores(*images(), torch.zeros(3))
