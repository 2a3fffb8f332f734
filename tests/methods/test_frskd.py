import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.methods import frskd
from selfdistill.methods.frskd import focus
from selfdistill.pyramid import Fusion, Pyramid, enlarged, reduced
from tests.showing import only, parts, seen, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


class Given(nn.Module):
    """A pyramid that gives what it was given."""

    def __init__(self, refined, logits):
        super().__init__()
        self.refined, self.logits = refined, logits

    def forward(self, features):
        return self.refined, self.logits


def test_it_is_the_published_loss(reference):
    """One of the maps is all zeros, and one has a single position."""
    want = reference("frskd")
    logits, taught = want["logits"].requires_grad_(), want["bifpn_logits"].requires_grad_()
    maps = [want[f"feat_{k}"].requires_grad_() for k in range(4)]
    refined = [want[f"bifpn_feat_{k}"].requires_grad_() for k in range(4)]
    made = frskd(want["alpha"].item(), want["beta"].item(), want["temperature"].item())
    term = only(made, "refinement")
    features = {f"stage{k + 1}": each for k, each in enumerate(maps)}
    term.stages, term.pyramid = list(features), Given(refined, taught)
    step = seen(logits, want["targets"], features=features)
    loss = only(made, "task").loss(step) + total(term.loss(step))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(taught.grad, want["grad_bifpn_logits"], **EXACT)
    for k in range(4):
        assert_close(maps[k].grad, want[f"grad_feat_{k}"], **EXACT)
        assert refined[k].grad is None
        assert want[f"grad_bifpn_feat_{k}"].abs().max() == 0


def test_each_part_is_the_published_one(reference):
    want = reference("frskd")
    features = {f"stage{k + 1}": want[f"feat_{k}"] for k in range(4)}
    for alpha, beta, part in ((1, 0, "loss_kd"), (0, 1, "loss_at")):
        term = only(frskd(alpha, beta), "refinement")
        term.stages = list(features)
        term.pyramid = Given([want[f"bifpn_feat_{k}"] for k in range(4)], want["bifpn_logits"])
        value = term.loss(seen(want["logits"], want["targets"], features=features))
        assert_close(value["mimic"], want[part], **EXACT)


def published_order(net):
    """The pyramid's parameters in the order of the reference."""
    for name in ("enter", "enter_again", "widen", "narrow", "fuse_up", "fuse_down", "classify"):
        yield from getattr(net, name).parameters()


def projections(values, seed):
    """Scalar products with 16 seeded vectors, which stand for the whole tensor."""
    draws = torch.from_numpy(np.random.RandomState(seed).randn(16, values.numel()))
    return draws @ values.detach().flatten()


def test_the_pyramid_is_the_published_network(reference, float64):
    want = reference("frskd_bifpnc") | reference("frskd_bifpnc_probes")
    net = Pyramid([2, 3, 4, 5], classes=6)
    sizes = [each.numel() for each in published_order(net)]
    for each, values in zip(published_order(net), want["parameters"].split(sizes), strict=True):
        each.data.copy_(values.view_as(each))
    maps = [want[f"x_{k}"].requires_grad_() for k in range(4)]
    refined, logits = net(maps)
    probed = [(each * want[f"probe_feat_{k}"]).sum() for k, each in enumerate(refined)]
    ((logits * want["probe_out"]).sum() + sum(probed)).backward()
    assert_close(logits.detach(), want["out_logits"], **EXACT)
    for k in range(4):
        assert_close(refined[k].detach().flatten()[::8], want[f"feat_{k}_every_8th"], **EXACT)
        assert_close(projections(refined[k], k), want[f"feat_{k}_projections"], **EXACT)
        assert_close(projections(maps[k].grad, k), want[f"grad_x_{k}_projections"], **EXACT)


def test_fusion_starts_as_the_mean_of_rectified_maps():
    fusion, maps = Fusion(2, 3, 1), torch.randn(2, 4, 3, 5, 5)
    want = fusion.convolve((maps[0].relu() + maps[1].relu()) / 2)
    assert_close(fusion(*maps), want, rtol=1e-3, atol=1e-4)


SIZES = [[(9, 7), (5, 4), (2, 2)], [(8, 8), (8, 8), (8, 8)], [(7, 7), (1, 1)], [(4, 4), (6, 6)]]


@pytest.mark.parametrize("sizes", SIZES)
def test_maps_of_any_sizes_fit(sizes):
    widths = [4, 6, 8][: len(sizes)]
    maps = [torch.randn(3, width, *size, requires_grad=True) for width, size in zip(widths, sizes, strict=True)]
    refined, logits = Pyramid(widths, classes=5)(maps)
    assert [each.shape for each in refined] == [
        (3, 2 * width, *size) for width, size in zip(widths, sizes, strict=True)
    ]
    logits.sum().backward()
    assert logits.shape == (3, 5)
    assert all(each.grad is not None for each in maps)


def test_halves_are_reduced_over_three_positions_and_other_sizes_by_parts():
    row = torch.tensor([1.0, 2.0, 9.0, 0.0]).expand(1, 1, 4, 4)
    assert reduced(row, torch.zeros(1, 1, 2, 2))[0, 0, 0].tolist() == [9.0, 9.0]
    assert reduced(row, torch.zeros(1, 1, 1, 1)).item() == 9.0
    assert torch.equal(reduced(row, row), row)
    assert enlarged(row[..., :2, :2], row)[0, 0, 0].tolist() == [1.0, 1.0, 2.0, 2.0]


def test_tokens_are_positions_of_a_column():
    torch.manual_seed(0)
    tokens = {f"stage{k}": torch.randn(3, 16, 6, requires_grad=True) for k in (1, 2)}
    term = only(frskd(), "refinement")
    term.build(parts(stage1=(3, 16, 6), stage2=(3, 16, 6), logits=(3, 5)))
    value = term.loss(seen(torch.randn(3, 5), torch.arange(3), features=tokens))
    total(value).backward()
    assert all(each.grad.abs().max() > 0 for each in tokens.values())


def test_the_labels_of_the_pyramid_train_the_backbone_too():
    torch.manual_seed(0)
    maps = {f"stage{k}": torch.randn(4, 3, 16 // 2**k, 16 // 2**k, requires_grad=True) for k in (1, 2, 3)}
    term = only(frskd(), "refinement")
    term.build(parts(logits=(4, 5), **{name: each.shape for name, each in maps.items()}))
    term.loss(seen(torch.zeros(4, 5), torch.arange(4), features=maps))["learn"].backward()
    assert all(each.grad.abs().max() > 0 for each in maps.values())


@pytest.mark.parametrize("fill", [0.0, 1e-30])
def test_maps_of_zeros_stay_finite(fill):
    maps = torch.full((2, 3, 4, 4), fill, requires_grad=True)
    focus(maps).square().sum().backward()
    assert maps.grad.isfinite().all()
