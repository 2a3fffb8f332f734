"""Inputs of a model: structures of tensors."""

from collections import OrderedDict, namedtuple
from types import MappingProxyType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import BatchEncoding
from transformers.modeling_outputs import BaseModelOutput

from selfdistill.errors import UserError
from selfdistill.inputs import (
    call_model,
    concatenate_rows,
    describe,
    device_of,
    floats_to,
    map_tensors,
    num_rows,
    only_tensor,
    positional_tensor,
    replace_tensor,
    tensors,
    token_mask,
)

Point = namedtuple("Point", ["place", "speed"])


def numbered(rows, width):
    return torch.arange(float(rows * width)).reshape(rows, width)


def structures(rows):
    """Nested tuples, lists and mappings of at least one tensor with these rows."""
    leaf = st.integers(1, 3).map(lambda width: numbered(rows, width))
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.tuples(inner, inner).map(lambda both: Point(*both)),
            st.dictionaries(st.sampled_from(["ids", "mask", "table"]), inner, min_size=1),
        ),
        max_leaves=6,
    )


def shape_of(structure):
    """The structure with its types, without values."""
    if isinstance(structure, torch.Tensor):
        return "tensor"
    if isinstance(structure, dict):
        return type(structure), [(key, shape_of(each)) for key, each in structure.items()]
    return type(structure), [shape_of(each) for each in structure]


def all_equal(some, others):
    return all(torch.equal(one, other) for one, other in zip(tensors(some), tensors(others), strict=True))


@given(structures(2))
def test_a_map_keeps_the_structure_and_changes_every_tensor(structure):
    before = [each.clone() for each in tensors(structure)]
    changed = map_tensors(lambda each: each + 1, structure)
    assert shape_of(changed) == shape_of(structure)
    assert all_equal(changed, [each + 1 for each in before])
    assert all_equal(structure, before)


@given(structures(2))
def test_the_identity_maps_each_tensor_to_itself(structure):
    same = tensors(map_tensors(lambda each: each, structure))
    assert [*map(id, same)] == [*map(id, tensors(structure))]


@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_concatenated_rows_split_into_their_parts(few, many, data):
    one = data.draw(structures(few))
    other = map_tensors(lambda each: torch.rand(many, each.shape[1]), one)
    whole = concatenate_rows([one, other])
    assert num_rows(whole) == few + many
    assert shape_of(whole) == shape_of(one)
    assert all_equal(map_tensors(lambda each: each[:few], whole), one)
    assert all_equal(map_tensors(lambda each: each[few:], whole), other)


def test_one_part_is_not_copied():
    inputs = (torch.zeros(2, 3),)
    assert concatenate_rows([inputs]) is inputs


@pytest.mark.parametrize(
    "structure",
    [
        Point(torch.zeros(2), (torch.ones(2), "left")),
        OrderedDict(b=torch.zeros(2), a=torch.ones(2)),
        BatchEncoding({"input_ids": torch.zeros(2, 3), "attention_mask": torch.ones(2, 3)}),
        BaseModelOutput(last_hidden_state=torch.zeros(2, 3), hidden_states=(torch.ones(2, 3),)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_classes_of_structures_are_kept(structure):
    changed = map_tensors(lambda each: each + 1, structure)
    assert type(changed) is type(structure)
    assert all_equal(changed, [each + 1 for each in tensors(structure)])
    assert {float(each.min()) for each in tensors(structure)} == {0.0, 1.0}  # the given one is unchanged


def test_a_mapped_model_output_has_its_attributes():
    output = BaseModelOutput(last_hidden_state=torch.zeros(2, 3))
    assert map_tensors(lambda each: each + 1, output).last_hidden_state.tolist() == [[1.0] * 3] * 2


def test_values_that_are_no_tensors_pass():
    assert map_tensors(lambda each: each + 1, {"left": None, "right": ("yes", 3)}) == {
        "left": None,
        "right": ("yes", 3),
    }


class Sum(nn.Module):
    def forward(self, one, two):
        return one - 2 * two


def test_a_tuple_is_arguments_and_a_mapping_keywords():
    one, two = torch.tensor([5.0]), torch.tensor([1.0])
    assert call_model(Sum(), (one, two)) == 3
    assert call_model(Sum(), [one, two]) == 3
    assert call_model(Sum(), {"two": two, "one": one}) == 3
    assert call_model(nn.Identity(), one) is one


def test_integers_keep_their_dtype():
    ids, values = torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.float64)
    moved = floats_to((ids, values), torch.zeros((), dtype=torch.bfloat16))
    assert [each.dtype for each in moved] == [torch.int64, torch.bfloat16]
    assert device_of(moved) == torch.device("cpu")


def test_one_tensor_is_replaced_and_others_stay():
    image, table = torch.zeros(2, 3, 4, 4), torch.zeros(2, 6)
    changed = replace_tensor({"image": image, "table": table}, image, image + 1)
    assert changed["image"].min() == 1
    assert changed["table"] is table


DESCRIPTIONS = {
    "float32 [8, 3, 32, 32]": torch.zeros(8, 3, 32, 32),
    "int64 [8, 12]": torch.zeros(8, 12, dtype=torch.int64),
    "float32 [8, 3, 4, 4], float64 [8, 6]": (torch.zeros(8, 3, 4, 4), torch.zeros(8, 6, dtype=torch.float64)),
    "input_ids int64 [8, 32], attention_mask bool [8, 32]": {
        "input_ids": torch.zeros(8, 32, dtype=torch.int64),
        "attention_mask": torch.ones(8, 32, dtype=torch.bool),
    },
    "an empty tuple": (),
    "an empty mapping": {},
    "a str": "images",
    "float32 [2], a NoneType": [torch.zeros(2), None],
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_descriptions(text):
    assert describe(DESCRIPTIONS[text]) == text


IMAGE, SIGNAL, TABLE = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8), torch.zeros(2, 6)
IDS = torch.zeros(2, 6, dtype=torch.int64)


def test_the_only_tensor_with_positions_is_found():
    assert positional_tensor((TABLE, IMAGE), "rotations need") is IMAGE
    assert positional_tensor({"ids": IDS, "signal": SIGNAL}, "erasing needs", dims=1) is SIGNAL


@pytest.mark.parametrize(
    ("inputs", "dims", "answer"),
    [
        (TABLE, 2, r"rotations need float images \[B, C, H, W\], but the inputs are float32 \[2, 6\]; use another"),
        (SIGNAL, 2, r"float images \[B, C, H, W\], but the inputs are float32 \[2, 3, 8\]"),
        ((IMAGE, IMAGE), 2, r"but the inputs are float32 \[2, 3, 8, 8\], float32 \[2, 3, 8, 8\]"),
        (IMAGE.to(torch.uint8), 2, r"float images .* uint8 \[2, 3, 8, 8\]"),
        ({"ids": IDS}, 1, r"one float tensor \[B, C, ...\], but the inputs are ids int64 \[2, 6\]"),
        ((IMAGE, SIGNAL), 1, r"one float tensor \[B, C, ...\]"),
    ],
)
def test_none_or_several_tensors_with_positions_are_refused(inputs, dims, answer):
    with pytest.raises(UserError, match=answer):
        positional_tensor(inputs, "rotations need", dims)


def test_inputs_that_are_not_one_tensor_are_refused_where_one_is_needed():
    assert only_tensor(IMAGE) is IMAGE
    with pytest.raises(UserError, match=r"one tensor is needed here, but the inputs are image float32 \[2, 3, 8, 8\]"):
        only_tensor({"image": IMAGE})


def test_the_mask_is_that_of_a_tokenizer():
    mask = torch.ones(2, 6)
    assert token_mask({"input_ids": IDS, "attention_mask": mask}) is mask
    assert token_mask({"input_ids": IDS}) is None
    assert token_mask({"attention_mask": torch.ones(2, 1, 6, 6)}) is None  # of pairs of tokens
    assert token_mask((IDS, mask)) is None


def test_mappings_are_concatenated_by_key():
    one, other = {"a": torch.zeros(2, 3), "b": torch.ones(2, 3)}, {"b": torch.ones(1, 3), "a": torch.zeros(1, 3)}
    joined = concatenate_rows([one, other])
    assert joined["a"].equal(torch.zeros(3, 3))
    assert joined["b"].equal(torch.ones(3, 3))


@pytest.mark.parametrize("other", [{"a": torch.zeros(2, 4)}, torch.zeros(2, 5)])
def test_inputs_of_other_shapes_are_not_concatenated(other):
    with pytest.raises(UserError, match="passes that run together need inputs of one shape, but these are a float32"):
        concatenate_rows([{"a": torch.zeros(2, 3)}, other])


def test_a_mapping_that_cannot_change_becomes_a_dictionary():
    assert map_tensors(torch.clone, MappingProxyType({"a": torch.zeros(2)}))["a"].equal(torch.zeros(2))
