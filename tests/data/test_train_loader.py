import pytest
import torch
from torch.testing import assert_close

from selfdistill.data import Augmentation, Images, Loader, batches
from selfdistill.data.image_augment import ImageAugmentation
from selfdistill.data.mixing import Mixing
from selfdistill.data.requirements import ExtraAugmentation, SameClassImage
from selfdistill.errors import UserError

AUGMENT = Augmentation(1, True, (0.5,) * 3, (0.25,) * 3)


def images(count=22, size=6):
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=draws, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 3)


def loader(count=22, batch_size=8, augment=AUGMENT, **options):
    return Loader(images(count), batch_size, augment=augment, **options)


def same(one, other):
    assert one.inputs.equal(other.inputs)
    assert one.labels.equal(other.labels)
    assert one.index.equal(other.index)


def test_batches_hold_what_their_index_says():
    plain = Augmentation(0, False, (0.0,) * 3, (1.0,) * 3)
    for batch in loader(augment=plain).epoch(0):
        assert batch.inputs.dtype == torch.float32
        assert_close(batch.inputs, images().images[batch.index] / 255)
        assert batch.labels.equal(images().labels[batch.index])
        assert batch.mix is None


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [8, 8]), (False, [8, 8, 6])])
def test_a_short_last_batch_is_dropped_on_request(drop_last, sizes):
    made = loader(drop_last=drop_last)
    assert [len(batch.labels) for batch in made.epoch(0)] == sizes
    assert len(made) == len(sizes)


def test_the_only_batch_is_kept_though_it_is_short():
    made = loader(count=5)
    assert [len(batch.labels) for batch in made.epoch(0)] == [5]
    assert len(made) == 1


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own():
    made = loader(drop_last=False)
    first, second = (torch.cat([batch.index for batch in made.epoch(n)]) for n in (0, 1))
    assert first.sort().values.equal(torch.arange(22))
    assert second.sort().values.equal(torch.arange(22))
    assert not first.equal(second)


def test_an_epoch_is_the_same_whenever_it_is_asked_for():
    made = loader()
    list(made.epoch(0))
    for one, other in zip(made.epoch(3), loader().epoch(3), strict=True):
        same(one, other)


def test_another_seed_gives_other_batches():
    one, other = next(loader(seed=0).epoch(0)), next(loader(seed=1).epoch(0))
    assert not one.index.equal(other.index)


@pytest.mark.parametrize("mixing", [None, Mixing(per="row", clean=True)])
@pytest.mark.parametrize("start", [1, 2, 3])
def test_an_epoch_can_be_continued(mixing, start):
    made = loader(drop_last=False, mixing=mixing)
    rest = list(made.epoch(2, start=start))
    assert len(rest) == 3 - start
    for one, other in zip(list(made.epoch(2))[start:], rest, strict=True):
        same(one, other)


def test_the_global_random_state_neither_matters_nor_moves():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = list(loader(mixing=Mixing()).epoch(0))
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(1)
    for each, other in zip(one, loader(mixing=Mixing()).epoch(0), strict=True):
        same(each, other)


def test_mixing_changes_neither_order_nor_augmentation():
    for batch, mixed in zip(loader().epoch(1), loader(mixing=Mixing(clean=True)).epoch(1), strict=True):
        assert mixed.extra["clean"].equal(batch.inputs)
        assert mixed.index.equal(batch.index)
        assert mixed.labels.equal(batch.labels)
        shares, partners, _ = mixed.mix
        assert_close(mixed.inputs, torch.einsum("bn,bnchw->bchw", shares, batch.inputs[partners]), atol=1e-5, rtol=1e-5)


def test_steps_and_epochs_mix_differently():
    made = loader(mixing=Mixing())
    drawn = [batch.mix.shares[0, 0].item() for epoch in (0, 1) for batch in made.epoch(epoch)]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("drop_last", [True, False])
def test_ranks_share_out_the_batch_of_one_process(drop_last):
    whole = list(loader(drop_last=drop_last).epoch(0))
    shares = [list(loader(drop_last=drop_last, rank=rank, ranks=2).epoch(0)) for rank in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert torch.cat([part.index for part in parts]).equal(batch.index)
        assert torch.cat([part.inputs for part in parts]).equal(batch.inputs)


def test_ranks_mix_on_their_own():
    one, other = (next(loader(mixing=Mixing(), rank=rank, ranks=2).epoch(0)) for rank in (0, 1))
    assert one.mix.partners.max() < 4
    assert not one.mix.shares.equal(other.mix.shares)


def test_every_rank_makes_as_many_steps_as_the_others():
    parts = [loader(count=17, drop_last=False, rank=rank, ranks=2) for rank in (0, 1)]  # one row is left over
    assert [[len(batch.labels) for batch in part.epoch(0)] for part in parts] == [[4, 4], [4, 4]]
    assert [len(part) for part in parts] == [2, 2]


def test_ranks_must_divide_the_batch():
    with pytest.raises(UserError, match=r"batch of 8 cannot be split evenly over 3 process.*multiple of 3"):
        loader(ranks=3)


def test_fewer_images_than_ranks_are_refused():
    with pytest.raises(UserError, match=r"3 training images are too few for 4 processes"):
        loader(count=3, ranks=4)


def test_a_batch_has_a_row_at_least():
    with pytest.raises(UserError, match="a batch of 0"):
        loader(batch_size=0)


def test_evaluation_sees_all_images_in_order_as_they_are():
    seen = list(batches(images(), 8, AUGMENT))
    assert [len(batch.labels) for batch in seen] == [8, 8, 6]
    assert torch.cat([batch.index for batch in seen]).equal(torch.arange(22))
    assert_close(torch.cat([batch.inputs for batch in seen]), (images().images / 255 - 0.5) / 0.25)


VARIED = Augmentation(
    0, True, (0.5,) * 3, (0.25,) * 3, ImageAugmentation((0.08, 1.0), "randaugment", jitter=0.4, erase=0.25)
)


def test_image_by_image_augmentation_depends_on_seed_epoch_and_place_alone():
    whole = list(loader(augment=VARIED).epoch(1))
    torch.manual_seed(5)
    needy = loader(augment=VARIED, needs={"twin": ExtraAugmentation(), "peer": SameClassImage()})
    for one, other in zip(whole, needy.epoch(1), strict=True):
        same(one, other)
        assert not other.extra["twin"].equal(other.inputs)
    same(whole[1], next(loader(augment=VARIED).epoch(1, start=1)))
    assert not whole[0].inputs.equal(next(loader(augment=VARIED, seed=1).epoch(1)).inputs)


def test_image_by_image_augmentation_is_the_same_for_two_ranks():
    whole = next(loader(augment=VARIED).epoch(0))
    parts = [next(loader(augment=VARIED, rank=rank, ranks=2).epoch(0)) for rank in range(2)]
    assert torch.cat([each.inputs for each in parts]).equal(whole.inputs)
