import pytest
import torch

from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.errors import UserError


def pair(*sides, rows=6):
    own = torch.arange(rows * 3.0 * torch.Size(sides).numel()).view(rows, 3, *sides)
    return Batch(own, torch.zeros(rows, dtype=torch.long), extra={"peer": -own - 1})


def swap(batch, grid=4, share=0.5, seed=0):
    return CellExchange(grid, share)(batch, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sides", [(8, 8), (6, 10), (9,), (4, 4, 4)])
def test_each_place_shows_one_of_the_two_and_its_partner_the_other(sides):
    plain = pair(*sides)
    made = swap(plain)
    own, peer = plain.inputs, plain.extra["peer"]
    there = made.inputs == peer
    assert torch.equal(torch.where(there, peer, own), made.inputs)
    assert torch.equal(torch.where(there, own, peer), made.extra["peer"])
    assert torch.equal(there, made.extra["swapped"].expand_as(there))
    assert 0.2 < there.float().mean() < 0.8
    assert made.mix is None


def test_cells_are_exchanged_whole():
    swapped = swap(pair(8, 8), grid=4).extra["swapped"]
    cells = swapped.view(6, 1, 4, 2, 4, 2)
    assert torch.equal(cells, cells[:, :, :, :1, :, :1].expand_as(cells))
    assert len({tuple(each.flatten().tolist()) for each in swapped}) > 1  # a mask for each pair


@pytest.mark.parametrize(("share", "moved"), [(0.0, False), (1.0, True)])
def test_no_patch_and_all_patches(share, moved):
    plain = pair(8, 8)
    made = swap(plain, share=share)
    first, second = (plain.extra["peer"], plain.inputs) if moved else (plain.inputs, plain.extra["peer"])
    assert torch.equal(made.inputs, first)
    assert torch.equal(made.extra["peer"], second)


def test_a_batch_is_swapped_once_and_a_seed_repeats():
    plain = pair(8, 8)
    made = swap(plain)
    assert swap(made, seed=3) is made
    assert torch.equal(swap(plain).inputs, made.inputs)
    assert not torch.equal(swap(plain, seed=1).inputs, made.inputs)


def test_without_a_partner_nothing_changes_and_ids_are_refused():
    plain = pair(8, 8)._replace(extra={})
    assert swap(plain) is plain
    with pytest.raises(UserError, match=r"exchanged patches need one float tensor .* use another method"):
        swap(Batch(torch.zeros(4, 12, dtype=torch.long), torch.zeros(4, dtype=torch.long)))
