import pytest
import torch
from torch.testing import assert_close

from selfdistill.data import Examples, Images, Loader, Standardization, TensorLoader, tensor_batches
from selfdistill.data.augment import Augmentation
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.requirements import (
    ClassGroups,
    ExtraAugmentation,
    Negatives,
    PlainView,
    PreviousBatch,
    SameClassImage,
    StrongView,
)
from selfdistill.errors import UserError

PLAIN = Standardization({"": (0.5, -1.0)}, {"": (2.0, 0.5)})
TWINS = "ignore:the method compares augmentations of an example:UserWarning"
NEEDS = {
    "peer": SameClassImage(),
    "twin": ExtraAugmentation(2),
    "last": PreviousBatch(),
    "negatives": Negatives(3),
}


def signals(count=22, labels=None):
    draws = torch.Generator().manual_seed(0)
    return Examples(torch.randn(count, 2, 6, generator=draws), torch.arange(count) % 3 if labels is None else labels)


def texts(count=22):
    ids = torch.arange(count * 4).view(count, 4)
    inputs = {
        "values": torch.randn(count, 3),
        "input_ids": ids,
        "attention_mask": torch.ones(count, 4, dtype=torch.bool),
    }
    return Examples(inputs, torch.arange(count) % 3)


def loader(examples=None, batch_size=8, **options):
    return TensorLoader(signals() if examples is None else examples, batch_size, augment=PLAIN, **options)


def same(one, other):
    assert one.index.equal(other.index)
    assert one.labels.equal(other.labels)
    assert one.inputs.equal(other.inputs)
    assert one.extra.keys() == other.extra.keys()
    assert all(one.extra[name].equal(other.extra[name]) for name in one.extra)


def standardized(inputs):
    return (inputs - torch.tensor([0.5, -1.0])[:, None]) / torch.tensor([2.0, 0.5])[:, None]


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [8, 8]), (False, [8, 8, 6])])
def test_batches_hold_what_their_index_says(drop_last, sizes):
    made = loader(drop_last=drop_last)
    assert len(made) == len(sizes)
    for batch, size in zip(made.epoch(0), sizes, strict=True):
        assert len(batch.labels) == size
        assert_close(batch.inputs, standardized(signals().inputs[batch.index]))
        assert batch.labels.equal(signals().labels[batch.index])


def test_the_order_is_that_of_images():
    pixels = Images(torch.zeros(22, 3, 4, 4, dtype=torch.uint8), torch.arange(22) % 3)
    images = Loader(pixels, 8, augment=Augmentation(0, False, (0.5,) * 3, (0.5,) * 3), seed=5)
    for one, other in zip(loader(seed=5).epoch(2), images.epoch(2), strict=True):
        assert one.index.equal(other.index)


@pytest.mark.filterwarnings(TWINS)
@pytest.mark.parametrize("start", [1, 2])
def test_an_epoch_can_be_continued(start):
    made = loader(needs=NEEDS, mixing=Mixing(clean=True), erasing=Erasing(0.3), drop_last=False)
    rest = list(made.epoch(3, start))
    again = list(loader(needs=NEEDS, mixing=Mixing(clean=True), erasing=Erasing(0.3), drop_last=False).epoch(3))
    assert len(rest) == 3 - start
    for one, other in zip(rest, again[start:], strict=True):
        same(one, other)


@pytest.mark.filterwarnings(TWINS)
@pytest.mark.parametrize("name", NEEDS)
def test_a_method_changes_neither_order_nor_batches(name):
    for one, other in zip(loader().epoch(1), loader(needs={name: NEEDS[name]}).epoch(1), strict=True):
        same(one, other._replace(extra={}))


@pytest.mark.filterwarnings(TWINS)
@pytest.mark.parametrize("drop_last", [True, False])
def test_ranks_share_out_the_batch_of_one_process(drop_last):
    needs = {name: NEEDS[name] for name in ("peer", "last", "twin")}
    whole = list(loader(drop_last=drop_last, needs=needs).epoch(1))
    shares = [list(loader(drop_last=drop_last, needs=needs, rank=rank, ranks=2).epoch(1)) for rank in (0, 1)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert torch.cat([part.index for part in parts]).equal(batch.index)
        assert torch.cat([part.inputs for part in parts]).equal(batch.inputs)
        for key in ("peer", "twin", "twin2"):
            assert torch.cat([part.extra[key] for part in parts]).equal(batch.extra[key])
    assert torch.cat([part[1].extra["last"] for part in shares]).equal(whole[1].extra["last"])


@pytest.mark.filterwarnings(TWINS)
def test_what_a_method_needs_beside_the_inputs():
    examples = signals()
    first, second = loader(needs=NEEDS).epoch(0)
    for batch in (first, second):
        rows = [
            next(k for k in range(22) if standardized(examples.inputs[k]).allclose(each))
            for each in batch.extra["peer"]
        ]
        assert examples.labels[rows].equal(batch.labels)
        assert batch.extra["twin"].equal(batch.inputs)  # nothing is augmented
        assert batch.extra["twin2"].equal(batch.inputs)
        assert batch.extra["negatives"].shape == (8, 3)
        assert (examples.labels[batch.extra["negatives"]] != batch.labels[:, None]).all()
    assert first.extra["last"].equal(first.inputs)
    assert second.extra["last"].equal(first.inputs)
    assert second.extra["last_labels"].equal(first.labels)


def test_equal_augmentations_are_told():
    with pytest.warns(UserWarning, match="these tensors are not augmented, so that all are equal"):
        loader(needs={"twin": ExtraAugmentation()})


def test_a_strong_view_is_refused_and_a_plain_one_is_the_example():
    with pytest.raises(UserError, match="reads a strong view of each image, but arrays have no colors to change"):
        loader(needs={"strong": StrongView()})
    for batch in loader(needs={"plain": PlainView()}).epoch(0):
        assert batch.extra["plain"].equal(batch.inputs)


def test_groups_of_a_class():
    for batch in loader(needs={"order": ClassGroups(3)}).epoch(0):
        assert (batch.labels.view(-1, 4) == batch.labels.view(-1, 4)[:, :1]).all()
    with pytest.raises(UserError, match="groups of 3 images do not fill a batch of 8 rows"):
        loader(needs={"order": ClassGroups(2)})


def test_mixing_and_erasing_are_drawn_after_standardization():
    plain, mixed = next(loader().epoch(0)), next(loader(mixing=Mixing(clean=True)).epoch(0))
    assert mixed.extra["clean"].equal(plain.inputs)
    shares, partners, _ = mixed.mix
    assert_close(mixed.inputs, torch.einsum("bn,bncl->bcl", shares, plain.inputs[partners]))
    erased = next(loader(erasing=Erasing(0.5)).epoch(0))
    assert ((erased.inputs == plain.inputs) | (erased.inputs == 0)).all()
    assert (erased.inputs == 0).any()


def test_several_inputs_keep_ids_and_masks():
    augment = Standardization({"values": (1.0, 2.0, 3.0)}, {"values": (2.0,) * 3})
    batch = next(TensorLoader(texts(), 8, augment=augment, needs={"peer": SameClassImage()}).epoch(0))
    assert batch.inputs["input_ids"].equal(texts().inputs["input_ids"][batch.index])
    assert batch.inputs["attention_mask"].dtype == torch.bool
    assert batch.inputs["values"].shape == (8, 3)
    assert batch.extra["peer"].keys() == batch.inputs.keys()
    with pytest.raises(UserError, match="mixed examples are weighted sums, but these inputs hold integers"):
        next(TensorLoader(texts(), 8, augment=augment, mixing=Mixing()).epoch(0))


def test_bytes_become_standardized_floats():
    images = Examples(torch.full((4, 1, 2, 2), 200, dtype=torch.uint8), torch.arange(4) % 2)
    batch = next(TensorLoader(images, 4, augment=Standardization({"": (100.0,)}, {"": (50.0,)})).epoch(0))
    assert batch.inputs.dtype == torch.float32
    assert (batch.inputs == 2).all()


@pytest.mark.parametrize(
    "labels", [torch.zeros(22, 4), torch.zeros(22, 5, 5, dtype=torch.int16)], ids=["tags", "pixels"]
)
def test_tags_and_pixels_have_no_pairs(labels):
    batch = next(loader(signals(labels=labels)).epoch(0))
    assert batch.labels.shape == (8, *labels.shape[1:])
    assert batch.labels.dtype == (torch.float32 if labels.dim() == 2 else torch.int64)
    with pytest.raises(UserError) as caught:
        loader(signals(labels=labels), needs={"peer": SameClassImage()})
    assert str(caught.value) == (
        "the method pairs examples of one class, but these have tags or pixels; use another method"
    )


def test_ranks_must_divide_the_batch():
    with pytest.raises(UserError, match=r"batch of 8 cannot be split evenly over 3 process"):
        loader(ranks=3)


def test_evaluation_sees_all_examples_in_order():
    seen = list(tensor_batches(signals(), 8, PLAIN))
    assert [len(batch.labels) for batch in seen] == [8, 8, 6]
    assert torch.cat([batch.index for batch in seen]).equal(torch.arange(22))
    assert_close(torch.cat([batch.inputs for batch in seen]), standardized(signals().inputs))
