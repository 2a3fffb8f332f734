import math

import pytest
import torch
from torch.testing import assert_close

from selfdistill.data.requirements import Negatives
from selfdistill.methods import crd
from selfdistill.step import memory
from selfdistill.terms import ModelOutputs, TrainingInfo
from tests.contract.steps import Training, distil
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def built(want=None, **options):
    """The term with 10 and 16 wide embeddings, its projections those of the reference."""
    term = only(crd(**options), "contrast")
    term.build(build_context(embedding=(8, 10), logits=(8, 5), views={"teacher": {"embedding": (8, 16)}}))
    term.double()
    for name, layer in (("s", term.project), ("t", term.project_teacher)) if want else ():
        layer.weight.data, layer.bias.data = want[f"proj_{name}_weight"], want[f"proj_{name}_bias"]
    return term


def fresh(term, images):
    return term.start(TrainingInfo(5, 10, 8, torch.zeros((), dtype=torch.float64), images))


def step(student, teacher, index, negatives, kept):
    views = {"teacher": ModelOutputs(torch.zeros(len(index), 5), teacher, {})}
    extra = {"negatives": negatives}
    logits, labels = torch.zeros(len(index), 5), torch.zeros_like(index)
    return step_context(logits, labels, embedding=student, views=views, index=index, extra=extra, memory=kept)


def drawn(seed=0, rows=8, images=20, count=6):
    draws = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(rows, width, generator=draws, dtype=torch.float64) for width in (10, 16))
    return student, teacher, torch.arange(rows), torch.randint(rows, images, (rows, count), generator=draws)


def test_two_steps_are_the_published_code(reference):
    """The second reads the tables that the first wrote, and its constants."""
    want = reference("crd")
    term = built(
        want,
        width=8,
        negatives=want["nce_k"].item(),
        temperature=want["nce_t"].item(),
        momentum=want["nce_m"].item(),
        weight=want["beta"].item(),
    )
    kept = fresh(term, want["n_data"].item())
    kept |= {"student": want["memory_v1_initial"].clone(), "teacher": want["memory_v2_initial"].clone()}
    for k in range(2):
        now = {key.removeprefix(f"step{k}."): value for key, value in want.items() if key.startswith(f"step{k}.")}
        student, teacher = now["embed_s"].requires_grad_(), now["embed_t"]
        assert torch.equal(now["contrast_idx"][:, 0], now["index"])
        term.zero_grad()
        value, new = term(step(student, teacher, now["index"], now["contrast_idx"][:, 1:], kept))
        value.backward()
        kept = memory.commit({"contrast": kept}, {"contrast": new})["contrast"]
        assert_close(value.detach(), now["loss_kd"], **EXACT)
        assert_close(student.grad, now["grad_embed_s"], **EXACT)
        for name, layer in (("s", term.project), ("t", term.project_teacher)):
            assert_close(layer.weight.grad, now[f"grad_proj_{name}_weight"], **EXACT)
            assert_close(layer.bias.grad, now[f"grad_proj_{name}_bias"], **EXACT)
        assert_close(kept["student"], now["memory_v1_after"], **EXACT)
        assert_close(kept["teacher"], now["memory_v2_after"], **EXACT)
        assert_close(kept["logs"].exp(), torch.stack([now["Z_v1"], now["Z_v2"]]), **EXACT)


def test_constants_are_measured_once():
    term = built(width=4)
    kept = fresh(term, 20)
    _, first = term(step(*drawn(0), kept))
    kept = memory.commit({"contrast": kept}, {"contrast": first})["contrast"]
    _, second = term(step(*drawn(1), kept))
    assert torch.equal(first["logs"], second["logs"])
    assert kept["measured"] == 1


@pytest.mark.parametrize("temperature", [0.07, 1e-3])
def test_single_precision_stays_finite(temperature):
    """At 1e-3 the published exponential overflows."""
    term = built(width=4, temperature=temperature).float()
    kept = term.start(TrainingInfo(5, 10, 8, torch.zeros(()), 20))
    student, teacher, index, negatives = drawn()
    student = student.float().index_fill(0, torch.tensor([3]), 0.0).requires_grad_()
    value, new = term(step(student, teacher.float(), index, negatives, kept))
    value.backward()
    assert value.isfinite()
    assert student.grad.isfinite().all()
    assert all(leaf.isfinite().all() for leaf in memory.leaves(new))


def test_only_the_rows_of_the_batch_are_written():
    training = Training(distil("crd(negatives=4, width=6)"))
    before = {name: training.memories["contrast"][name].clone() for name in ("student", "teacher")}
    training.steps(1)
    for name, table in before.items():
        now = training.memories["contrast"][name]
        assert torch.equal(now[8:], table[8:])
        assert_close(now[:8].norm(dim=1), torch.ones(8))
        assert not torch.equal(now[:8], table[:8])


def test_tables_start_the_same_and_apart():
    term = built(width=12)
    one, other = fresh(term, 300), fresh(term, 300)
    assert torch.equal(one["student"], other["student"])
    assert one["student"].data_ptr() != other["student"].data_ptr()
    assert not torch.equal(one["student"], one["teacher"])
    bound = 1 / math.sqrt(12 / 3)
    assert 0.98 * bound < one["teacher"].abs().max() <= bound


def test_negatives_are_asked_of_the_data():
    assert crd().needs == {"negatives": Negatives(16384)}
    assert crd(negatives=32).needs == {"negatives": Negatives(32)}
