import torch
from torch.testing import assert_close

from selfdistill.functional import global_average_pool


def test_tokens_are_pooled_as_maps_are():
    maps = torch.randn(2, 3, 4, 5)
    assert_close(global_average_pool(maps), global_average_pool(maps.flatten(2).transpose(1, 2)))
