"""The step compiles as one graph, and gives what eager gives."""

import pytest
import torch
import torch._dynamo
from torch.testing import assert_close

from tests.contract.steps import EXPRESSIONS, Training, distil


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_one_graph_equal_to_eager(text):
    eager = Training(distil(text)).steps(3)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    distiller = distil(text)
    compiled = Training(distiller, torch.compile(distiller, fullgraph=True, backend="aot_eager")).steps(3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    for one, other in zip(eager.log, compiled.log, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)
