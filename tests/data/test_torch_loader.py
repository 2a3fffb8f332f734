from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close
from torch.utils.data import IterableDataset, SequentialSampler, TensorDataset

from selfdistill.data import Images, loader
from selfdistill.data.mixing import Mixing
from selfdistill.errors import UserError

PLAIN, MIXED = SimpleNamespace(mixing=None, needs={}), SimpleNamespace(mixing=Mixing(clean=True), needs={})


def dataset(count=11):
    draws = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(count, 3, 4, 4, generator=draws), torch.arange(count))


def test_batches_hold_what_their_index_says():
    made = loader(dataset(), PLAIN, 4)
    assert len(made) == len(list(made)) == 2
    for batch in made:
        assert batch.images.equal(dataset().tensors[0][batch.index])
        assert batch.labels.equal(batch.index)
        assert batch.mix is None


def test_each_pass_has_an_order_of_its_own_that_the_seed_decides():
    def passes(seed):
        made = loader(dataset(), PLAIN, 4, drop_last=False, seed=seed)
        return [torch.cat([batch.index for batch in made]).tolist() for _ in range(2)]

    first, second = passes(0)
    assert sorted(first) == sorted(second) == list(range(11))
    assert first != second
    assert passes(0) == [first, second] != passes(1)


def test_it_mixes_as_the_method_asks_and_changes_no_order():
    for batch, mixed in zip(loader(dataset(), PLAIN, 4), loader(dataset(), MIXED, 4), strict=True):
        assert mixed.index.equal(batch.index)
        assert mixed.extra["clean"].equal(batch.images)
        shares, partners, _ = mixed.mix
        assert_close(mixed.images, torch.einsum("bn,bnchw->bchw", shares, batch.images[partners]))


def test_order_without_shuffling_and_with_a_sampler():
    for options in ({"shuffle": False}, {"sampler": SequentialSampler(dataset())}):
        made = loader(dataset(), PLAIN, 4, drop_last=False, **options)
        assert torch.cat([batch.index for batch in made]).tolist() == list(range(11))


def test_the_only_batch_is_kept_though_it_is_short():
    assert [len(batch.labels) for batch in loader(dataset(3), PLAIN, 4)] == [3]


def test_images_that_no_model_can_read_are_refused():
    pixels = Images(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(UserError, match=r"item 0 of the data set holds an image of kind torch.uint8, but a float"):
        next(iter(loader(pixels, PLAIN, 2, shuffle=False)))
    with pytest.raises(UserError, match=r"of kind str.*transform"):
        next(iter(loader([("picture", 1)], PLAIN, 1)))


def test_a_stream_has_no_rows():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from dataset()

    with pytest.raises(UserError, match=r"Stream has no length or rows; give a map-style data set"):
        loader(Stream(), PLAIN, 2)
