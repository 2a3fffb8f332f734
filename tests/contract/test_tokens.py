"""Taggers of tokens with every method: two steps with a finite loss, or a refusal in words."""

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from tests.contract.test_pixels import REFUSED as REFUSED_PIXELS
from tests.helpers.kinds import TOKEN_KINDS, token_labels
from tests.helpers.losses import TIME

REFUSED = REFUSED_PIXELS | dict.fromkeys(["mixup", "cutmix", "stkd", "mixskd", "patch_swap"], "a label for each token")
ERASES = {"cutout": "erasing .* needs one float tensor"}  # inputs are ids


def two_steps(kind, text):
    torch.manual_seed(0)
    method, inputs = sd.methods.parse_method(text), kind.inputs()
    networks, model = {role: kind.make() for role in method.teachers}, kind.make()
    teach = sd.teach(model, method, inputs, networks=networks, ignore_index=255, **TIME)
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.01)
    labels = token_labels(255)
    for known in (12, 6):  # another number of labelled tokens at each step
        optimizer.zero_grad()
        labels[:, known:] = 255
        loss = teach(inputs, labels)
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert teach.close() is model


@pytest.mark.filterwarnings("ignore:.*every token has the same norm:UserWarning")  # of a BERT as it is drawn
@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("kind", TOKEN_KINDS)
def test_a_method_trains_tokens_or_refuses_them(kind, name):
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    if sd.methods.parse_method(text).momentum_gap is not None:
        pytest.skip("not for one's own loop")
    refused = (REFUSED | ERASES | TOKEN_KINDS[kind].refused).get(name)
    if refused is None:
        two_steps(TOKEN_KINDS[kind], text)
    else:
        with pytest.raises(UserError, match=f"{refused}|{REFUSED.get(name, refused)}"):
            two_steps(TOKEN_KINDS[kind], text)
