import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import attention_gap, channel_energy
from selfdistill.methods import afd
from tests.helpers.random_features import build, drawn, loss, padded, tokens
from tests.helpers.step_contexts import only

PREFIX = "attention_linear_trans_"


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def names(attend):
    """Our modules by the names of their weights in the published code."""
    pairs = {f"{PREFIX}s_key_layer_{k}": key for k, key in enumerate(attend.keys)}
    pairs |= {f"{PREFIX}t_query_layer_{k}": query for k, query in enumerate(attend.queries)}
    pairs |= {f"{PREFIX}s_bilinear": attend.bilinear}
    return {f"{name}_{kind}": module[k] for name, module in pairs.items() for k, kind in enumerate(("linear", "bn"))}


def test_it_is_the_published_loss(reference):
    want = reference("afd")
    own = {f"stage{k}": want[f"feat{k}"].requires_grad_() for k in (1, 2, 3)}
    theirs = {f"stage{k}": want[f"teacher_feat{k}"] for k in (1, 2)}
    term = build(only(afd(width=int(want["qk_dim"])), "attended"), own, theirs)
    for name, module in names(term.attend).items():
        for kind in ("weight", "bias"):
            setattr(module, kind, nn.Parameter(want[f"{name}_{kind}"].clone()))
    term.attend.place = nn.Parameter(want["attention_p_s"].clone())
    term.attend.place_teacher = nn.Parameter(want["attention_p_t"].clone())
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss"], rtol=1e-9, atol=0)
    grads = {f"feat{k}": own[f"stage{k}"].grad for k in (1, 2, 3)}
    grads |= {"attention_p_s": term.attend.place.grad, "attention_p_t": term.attend.place_teacher.grad}
    for name, module in names(term.attend).items():
        grads |= {f"{name}_{kind}": getattr(module, kind).grad for kind in ("weight", "bias")}
    largest = max(want[f"grad_{name}"].abs().max() for name in grads)
    for name, grad in grads.items():  # a linear bias before a batch norm has none but rounding
        assert_close(grad, want[f"grad_{name}"], rtol=1e-6, atol=1e-9 * largest.item())


def gap(own, theirs):
    return attention_gap(channel_energy(own), channel_energy(theirs))


def test_shares_sum_to_one_over_the_students_stages():
    own, theirs = drawn(3)
    term = build(only(afd(width=8), "attended"), own, theirs)
    shares = term.attend([*own.values()], [*theirs.values()])
    assert shares.shape == (8, 3, 3)
    assert_close(shares.sum(dim=2), torch.ones(8, 3))
    first = {"stage1": own["stage1"]}
    alone = build(only(afd(width=8), "attended"), first, theirs)
    want = sum(gap(own["stage1"], each).mean() for each in theirs.values())
    assert_close(loss(alone, first, theirs), want)


def test_scales_cancel_and_absent_tokens_do_not_count():
    own, theirs = tokens(0, 4, 6, 3), tokens(1, 4, 6, 5)
    gaps = gap(own, theirs)
    assert_close(gap(7 * own, theirs / 3), gaps)
    assert_close(gap(padded(own, 6), padded(theirs, 6)), gaps)
    assert_close(gap(own, 2 * own), torch.zeros(4))
