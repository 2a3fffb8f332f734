import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.functional import (
    gaps_to_last,
    margin_losses,
    other_class_rows,
    other_classes,
    running_class_sums,
    two_class_ce,
    uniform,
)
from selfdistill.heads import ClassRelation, PairHeads
from selfdistill.methods import corsd
from selfdistill.terms import ModelOutputs
from selfdistill.terms.triplets import Pairs
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def stored_pairs(want, name):
    stages = [1, 2, 3, 4]
    relations, logits = ([want[f"{name}{kind}{k}"].requires_grad_() for k in stages] for kind in ("", "_logits"))
    return Pairs(relations, logits)


def linear_relation(want):
    """A relation that is linear, as it was in the stored run."""
    relation = ClassRelation(6)
    relation.relate = nn.Linear(12, 1)
    relation.relate.weight = nn.Parameter(want["relation_weight"][None].clone())
    relation.relate.bias = nn.Parameter(want["relation_bias"].clone())
    return relation


def test_it_is_the_published_loss_without_the_two_terms_that_have_no_value(reference):
    want = reference("corsd")
    logits, labels = want["logits"].requires_grad_(), want["targets"]
    near, far, relation = stored_pairs(want, "same"), stored_pairs(want, "other"), linear_relation(want)
    term = only(corsd(margin=want["margin"].item(), classes=want["lg_loss"].item()), "stages")
    # the labels of the pairs are those of the images of one class, which are the anchors'
    pairs = term.compare(step_context(logits[1::3], labels[1::3]), near, far, labels[2::3])
    p, others = logits.softmax(dim=1), (labels + want["random_shift"]) % 6
    classes = relation(p, labels, others, torch.eye(6)).sum()
    loss = F.cross_entropy(logits, labels) + sum(pairs) + want["lg_loss"] * classes
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(relation.relate.weight.grad[0], want["grad_relation_weight"], **EXACT)
    assert_close(relation.relate.bias.grad, want["grad_relation_bias"], **EXACT)
    for name, kept in (("same", near), ("other", far)):
        for k in range(4):
            assert_close(kept.relations[k].grad, want[f"grad_{name}{k + 1}"], **EXACT)
            assert_close(kept.logits[k].grad, want[f"grad_{name}_logits{k + 1}"], **EXACT)


def test_sums_of_classes_are_the_published_ones(reference):
    want = reference("corsd")
    p, labels = want["logits"].softmax(dim=1), want["targets"]
    rows = [running_class_sums(torch.eye(6), p, labels, torch.full_like(labels, k))[-1] for k in range(6)]
    assert_close(torch.stack(rows), want["class_sums_after"], **EXACT)


def classes_term(**options):
    term = only(corsd(**options), "classes")
    term.build(build_context(logits=(4, 3)))
    return term, term.start(sd.TrainingInfo(classes=3, width=None, batch=4, like=torch.zeros(())))


@pytest.mark.parametrize("sums", ["sum", "mean"])
def test_relations_of_predictions_are_a_loop_over_rows(sums):
    term, memory = classes_term(sums=sums)
    one, peer, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 2, 2, 1])
    step = step_context(one, labels, views={"peer": peer}, memory=memory)
    value, after = term(step)
    others = other_classes(uniform(~step.progress.key, (8,)), labels.repeat(2), 3)
    known, pairs = torch.eye(3), {"own": [], "other": []}
    for p, label, other in zip(torch.cat([one, peer]).softmax(dim=1), labels.repeat(2), others, strict=True):
        known[label] += p
        for name, k in (("own", label), ("other", other)):
            read = known[k] / known[k].sum() if sums == "mean" else known[k].clone()
            pairs[name].append(torch.cat([p, read]))
    own, other = term.relation.relate(torch.stack(pairs["own"] + pairs["other"])).chunk(2)
    assert_close(value, (own - other).sum())
    assert_close(after, known)


def test_the_loss_of_pairs_is_a_loop_over_stages():
    term = only(corsd(same=0.3, other=0.2, relation=0.1, margin=0.7, temperature=2.0), "stages")
    labels, others = torch.tensor([0, 1]), torch.tensor([2, 0])
    near, far = (Pairs(list(torch.rand(3, 2, 1)), list(torch.randn(3, 2, 4))) for _ in range(2))
    learn, mimic = term.compare(step_context(torch.zeros(2, 4), labels), near, far, others)
    known, soft, relations = 0.0, 0.0, 0.0
    for k in range(3):
        for row in range(2):
            known += -near.logits[k][row].log_softmax(dim=0)[labels[row]] / 2
            halves = torch.zeros(4)
            halves[labels[row]], halves[others[row]] = 0.5, 0.5
            soft += -((halves / 2).softmax(dim=0) * (far.logits[k][row] / 2).log_softmax(dim=0)).sum() / 2
            relations += (near.relations[k][row, 0] - far.relations[k][row, 0] + 0.7).clamp(min=0) / 2
            relations += (near.relations[k] - near.relations[2])[row, 0] ** 2 / 2
            relations += (far.relations[k] - far.relations[2])[row, 0] ** 2 / 2
    assert_close(learn, 0.3 * known + 0.2 * soft)
    assert_close(mimic, 0.1 * relations)


def stage_term(rows=4):
    term = only(corsd(), "stages")
    shapes = {"stage1": (rows, 2, 6, 6), "stage2": (rows, 5), "logits": (rows, 3)}
    term.build(build_context(**shapes))
    return term


def test_pairs_are_of_the_peer_and_of_a_row_of_another_class():
    term, labels = stage_term(), torch.tensor([0, 0, 1, 2])
    one, peer = ({"stage1": torch.randn(4, 2, 6, 6), "stage2": torch.randn(4, 5)} for _ in range(2))
    views = {"peer": ModelOutputs(torch.randn(4, 3), None, peer)}
    near, far, others = term.pairs(step_context(torch.randn(4, 3), labels, features=one, views=views))
    assert (others != labels).all()
    want = [head(one[tap], peer[tap]) for tap, head in zip(term.tapped, term.heads, strict=True)]
    for k, (relation, logits) in enumerate(want):
        assert_close(near.relations[k], relation)
        assert_close(near.logits[k], logits)
        assert ((far.relations[k] > 0) & (far.relations[k] < 1)).all()


def test_a_batch_of_one_class_has_no_pairs_of_two():
    labels = torch.zeros(2, dtype=torch.long)
    near, far, other = (Pairs(list(torch.rand(3, 2, 1)), list(torch.randn(3, 2, 4))) for _ in range(3))
    term = only(corsd(), "stages")
    first, second = (term.compare(step_context(torch.zeros(2, 4), labels), near, each, labels) for each in (far, other))
    assert_close(first, second)
    assert_close(first[0], 0.04 * sum(F.cross_entropy(each, labels) for each in near.logits))


def test_shares_are_a_target_that_is_not_uniform():
    logits, (one, other) = torch.tensor([[3.0, 3.0, -3.0]]), torch.tensor([[0], [1]])
    assert two_class_ce(logits, one, other, 3.0, "shares") < two_class_ce(logits, one, other, 3.0)
    assert_close(two_class_ce(logits, one, other, 3.0, "shares"), -(logits / 3).log_softmax(dim=1)[0, 0])


def test_rows_and_classes_are_others():
    labels = torch.tensor([0, 1, 1, 2, 0])
    drawn = [other_class_rows(torch.rand(5, 5), labels) for _ in range(50)]
    assert all((labels[rows] != labels).all() for rows in drawn)
    assert {int(rows[0]) for rows in drawn} == {1, 2, 3}
    classes = torch.stack([other_classes(torch.rand(5), labels, 3) for _ in range(50)])
    assert (classes != labels).all()
    assert set(classes[:, 0].tolist()) == {1, 2}


def test_gaps_and_margins_pass_gradients_to_both_sides():
    values = [torch.rand(2, requires_grad=True) for _ in range(2)]
    (gaps_to_last(values) + margin_losses(values[:1], values[1:], 1.0)).backward()
    assert all(each.grad.abs().sum() > 0 for each in values)


def test_heads_read_features_of_any_kind():
    heads = PairHeads([torch.Size(shape) for shape in ((2, 3, 8, 8), (2, 6, 5), (2, 4), (2, 3, 4, 4, 4))], 3)
    one = [torch.randn(2, 3, 8, 8), torch.randn(2, 6, 5), torch.randn(2, 4), torch.randn(2, 3, 4, 4, 4)]
    relations, logits = heads(one, one)
    assert [each.shape for each in relations] == [(2, 1)] * 4
    assert [each.shape for each in logits] == [(2, 3)] * 4
