"""The face under torch.compile."""

import pytest
import torch
from torch.testing import assert_close

import selfdistill as sd
from tests.helpers.kinds import KINDS
from tests.helpers.loops import ALL, IMAGES, LABELS, batch
from tests.helpers.losses import optimizer_of, take_steps, teach
from tests.helpers.networks import network


@pytest.mark.parametrize("text", [ALL, "drg() + dsr()"])
def test_the_whole_face_compiles_as_one_graph(text):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    eager, teach = (sd.teach(network(), text, IMAGES, epochs=2, steps_per_epoch=2) for _ in range(2))
    compiled = torch.compile(teach, fullgraph=True, backend="aot_eager")
    for seed in range(4):
        assert_close(compiled(*batch(seed)), eager(*batch(seed)), rtol=1e-4, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_model_compiled_in_place_afterwards():
    torch._dynamo.reset()
    model = network()
    teach = sd.teach(model, ALL, IMAGES)
    want = teach(IMAGES, LABELS)
    again = sd.teach(network(), ALL, IMAGES)
    again.student.compile(backend="aot_eager")
    assert_close(again(IMAGES, LABELS), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ["ce()", "kd()", "drg() + dsr()"])
@pytest.mark.parametrize("kind", ["BERT", "image and table", "signal"])
def test_inputs_of_other_kinds_compile_as_one_graph(kind, text):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    make, inputs = KINDS[kind].make, KINDS[kind].inputs()
    eager, taught = teach(text, make, inputs), teach(text, make, inputs)
    compiled = torch.compile(taught, fullgraph=True, backend="eager")
    expected = take_steps(eager, optimizer_of(eager), inputs, 3)
    found = take_steps(taught, optimizer_of(taught), inputs, 3, call=compiled)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
