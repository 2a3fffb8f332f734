"""Every kind of inputs with every method: a step with a finite loss, or a refusal in words."""

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from tests.helpers.kinds import KINDS, LABELS, extra

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*every token has the same norm:UserWarning"),  # of a BERT as it is drawn
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),  # of peft, with transformers
]
QUICK = {"signal", "BERT", "table", "image and table", "LSTM"}
CELLS = [
    pytest.param(kind, name, marks=() if kind in QUICK else pytest.mark.slow)
    for kind in KINDS
    for name in sorted(REGISTRY)
]


def teach(kind, name):
    """Make a teach of the method; raise `UserError` where the kind is refused."""
    torch.manual_seed(0)
    method = sd.methods.parse_method(f"{name}(negatives=2)" if name == "crd" else f"{name}()")
    networks = {role: kind.make() for role in method.teachers}
    time = {"dataset_size": 8, "epochs": 4, "steps_per_epoch": 2}
    return sd.teach(kind.make(), method, kind.inputs(), networks=networks, **time, **kind.options)


def two_steps(kind, name):
    """Train two steps of the method."""
    taught, inputs = teach(kind, name), kind.inputs()
    model = taught.student
    optimizer = torch.optim.SGD([each for each in taught.parameters() if each.requires_grad], lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        loss = taught(inputs, LABELS, **extra(inputs))
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert taught.close() is model
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(("kind", "name"), CELLS)
def test_a_method_trains_a_kind_or_refuses_it(kind, name):
    if sd.methods.parse_method(f"{name}()").momentum_gap is not None:
        pytest.skip("not for one's own loop")
    refused = KINDS[kind].refused.get(name)
    if refused is None:
        two_steps(KINDS[kind], name)
    else:
        with pytest.raises(UserError, match=refused):
            teach(KINDS[kind], name)
