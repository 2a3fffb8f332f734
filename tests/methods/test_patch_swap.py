import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence
from selfdistill.methods import mixup, patch_swap, ps_kd
from tests.helpers.step_contexts import only, step_context


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def loss(one, other, labels, **options):
    return only(patch_swap(**options), "task").loss(step_context(one, labels, views={"peer": other}))


def rows():
    return torch.randn(6, 4), torch.randn(6, 4), torch.arange(6) % 4


def test_both_learn_the_label_and_teach_each_other():
    one, other, labels = rows()
    found = loss(one, other, labels, temperature=2.0, weight=3.0)
    assert_close(found["learn"], (F.cross_entropy(one, labels) + F.cross_entropy(other, labels)) / 2)
    soft = kl_divergence(one, other, 2.0) + kl_divergence(other, one, 2.0)
    assert_close(found["mimic"], 1.5 * soft)
    swapped = loss(other, one, labels, temperature=2.0, weight=3.0)
    assert_close(swapped, found)
    assert loss(one, one, labels)["mimic"].abs() < 1e-14


def test_the_surer_of_two_teaches():
    one, other, labels = rows()
    own, theirs = (each.softmax(dim=1).gather(1, labels[:, None])[:, 0] for each in (one, other))
    want = [
        kl_divergence(one[k : k + 1], other[k : k + 1], 4.0)
        if theirs[k] > own[k]
        else kl_divergence(other[k : k + 1], one[k : k + 1], 4.0)
        for k in range(6)
    ]
    assert 0 < (theirs > own).sum() < 6
    assert_close(loss(one, other, labels, direction="surer")["mimic"], torch.stack(want).mean())
    assert loss(one, one, labels, direction="surer")["mimic"].abs() < 1e-14


def test_a_custom_loop_exchanges_patches_once():
    images, labels = torch.randn(8, 3, 16, 16), torch.arange(8) % 5
    torch.manual_seed(0)
    teach = sd.teach(sd.create("resnet8", 5, size=16).double(), "patch_swap()", images)
    with pytest.raises(UserError, match="also needs `peer`"):
        teach(images, labels)
    first = teach(images, labels, peer=images.flip(0))
    assert first.isfinite()
    swapped = patch_swap().mixing(
        sd.Batch(images, labels, extra={"peer": images.flip(0)}), torch.Generator().manual_seed(0)
    )
    assert_close(teach(swapped), teach(swapped))


@pytest.mark.parametrize("other", [mixup, ps_kd])
def test_other_mixing_and_tables_of_images_are_refused(other):
    with pytest.raises(UserError, match="mix(es the)? images"):
        patch_swap() + other()
