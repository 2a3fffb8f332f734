import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional.ensembles import linear, naive


def test_naive_takes_the_better_network_row_by_row():
    logits, labels = torch.randn(2, 6, 4), torch.randint(0, 4, (6,))
    got = naive(logits, labels)
    for b in range(6):
        losses = [-each[b].log_softmax(0)[labels[b]] for each in logits]
        assert torch.equal(got[b], logits[int(losses[1] < losses[0]), b])


def test_linear_is_better_than_each_and_than_the_mean():
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (40,), generator=draws)
    logits = torch.randn(2, 40, 4, generator=draws) + 2 * F.one_hot(labels, 4) * torch.tensor([1.0, 0.2])[:, None, None]
    got = F.cross_entropy(linear(logits, labels), labels)
    shares = torch.linspace(0, 1, 201)
    best = min(F.cross_entropy(share * logits[0] + (1 - share) * logits[1], labels) for share in shares)
    assert_close(got, best, atol=0.01, rtol=0)
