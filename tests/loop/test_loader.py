"""The loader of a plain loop and the face together."""

import torch
from torch.utils.data import TensorDataset

import selfdistill as sd
from tests.helpers.loops import batch
from tests.helpers.networks import network


def test_loader_delivers_what_the_method_needs():
    images, labels = batch(0, rows=30)
    dataset = TensorDataset(images, labels)
    teach = sd.teach(network(), "stkd(target='mixed predictions')", images[:8], networks={"teacher": network(seed=2)})
    loader = sd.loader(dataset, teach, batch_size=8, seed=3)
    assert len(loader) == 3
    seen = []
    for each in loader:
        assert each.mix is not None
        assert torch.equal(each.extra["clean"], images[each.index])
        assert teach(each).isfinite()
        seen += each.index.tolist()
    assert len(set(seen)) == 24
    assert [each.index.tolist() for each in loader] != [seen[:8], seen[8:16], seen[16:]]
