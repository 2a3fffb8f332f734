import torch
from torch.testing import assert_close

from selfdistill.functional import correlation, drop_label_column, l2_normalize, standardize
from tests.helpers.random_features import tokens


def test_standard_rows():
    rows = tokens(0, 5, 4)
    got = standardize(rows)
    assert_close(got.mean(dim=1), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(got.std(dim=1), torch.ones(5, dtype=torch.float64), rtol=1e-6, atol=0)
    assert_close(standardize(7 * rows + 3), got, rtol=1e-6, atol=1e-9)


def test_correlation_is_pearsons():
    one, other = tokens(0, 5, 4), tokens(1, 5, 4)
    for b in range(len(one)):
        assert_close(
            correlation(one, other)[b], torch.corrcoef(torch.stack([one[b], other[b]]))[0, 1], rtol=1e-6, atol=0
        )
    assert_close(correlation(one, 2 * one + 5), torch.ones(5, dtype=torch.float64), rtol=1e-6, atol=0)


def test_without_a_column():
    rows = torch.arange(12.0).view(3, 4)
    want = [[1, 2, 3], [4, 5, 6], [8, 10, 11]]
    assert drop_label_column(rows, torch.tensor([0, 3, 1])).tolist() == want


def test_unit_rows_are_the_plain_division():
    rows = torch.randn(4, 5, 7, dtype=torch.float64)
    assert_close(l2_normalize(rows), rows / rows.norm(dim=-1, keepdim=True))
