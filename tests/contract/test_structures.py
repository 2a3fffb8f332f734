"""The structure of inputs changes no loss: a tuple of one, keywords, the order of keys."""

import pytest
import torch

from tests.helpers.kinds import ImageAndTable, bert, convolutions, floats, texts
from tests.helpers.losses import losses

TEXTS = ["ce()", "kd()", "drg() + dsr()", "byot()", "dks()", "cs_kd()", "mixup()", "scd()"]
OF_TEXT = [text for text in TEXTS if text != "mixup()"]


def equal(some, others):
    return all(
        torch.equal(one[name], other[name]) for one, other in zip(some, others, strict=True) for name in one | other
    )


@pytest.mark.parametrize("text", TEXTS)
def test_a_tuple_of_one_is_the_tensor(text):
    images = floats(3, 16, 16)()
    assert equal(losses(text, lambda: convolutions(3), images), losses(text, lambda: convolutions(3), (images,)))


@pytest.mark.parametrize("text", TEXTS)
def test_keywords_are_arguments(text):
    image, table = floats(3, 16, 16)(), floats(6)()
    arguments = losses(text, ImageAndTable, (image, table))
    assert equal(arguments, losses(text, ImageAndTable, {"image": image, "table": table}))
    assert equal(arguments, losses(text, ImageAndTable, {"table": table, "image": image}))


@pytest.mark.filterwarnings("ignore:.*every token has the same norm:UserWarning")  # of a BERT as it is drawn
@pytest.mark.parametrize("text", OF_TEXT)
def test_the_order_of_keys_changes_nothing(text):
    inputs = texts()
    turned = dict(reversed(inputs.items()))
    assert [*turned] != [*inputs]
    assert equal(losses(text, bert, inputs), losses(text, bert, turned))
