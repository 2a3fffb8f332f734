import numpy as np
import torch
from torch.testing import assert_close

from selfdistill.heads import GatedHead

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def test_gated_head_is_the_published_adapter(reference, float64):
    want = reference("lightskd_adapter2")
    draws = np.random.RandomState(107)
    x = torch.from_numpy(draws.randn(8, 128, 8, 8)).requires_grad_()
    cotangent = torch.from_numpy(draws.randn(8, 10))
    torch.manual_seed(7)
    head = GatedHead(x.shape, classes=10)
    kernels = [each for each in head.parameters() if each.dim() == 4] + [head.classify.weight]
    assert_close(torch.stack([each.sum() for each in kernels]).detach(), want["weight_sums"], **EXACT)
    others = [each for each in head.parameters() if each.dim() == 1]
    published = [value for key, value in want.items() if key.startswith("param.")]
    for parameter, value in zip(others, published, strict=True):
        parameter.data.copy_(value)
    probe = torch.from_numpy(np.random.RandomState(0).randn(8, x.numel()))
    gate = head.gate(x.detach())
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()

    out = head(x)
    out.backward(cotangent)

    assert_close(out.detach(), want["out_train"], **EXACT)
    assert_close(gate[:, ::16], want["gate_train_every_16th_channel"], **EXACT)
    assert_close(probe @ gate.flatten(), want["gate_train_projections"], **EXACT)
    assert_close(x.grad[:, ::16], want["grad_x_every_16th_channel"], **EXACT)
    assert_close(probe @ x.grad.flatten(), want["grad_x_projections"], **EXACT)
    assert gate.min() >= 0.5
    assert gate.max() < 1
    running = [value for name, value in head.named_buffers() if "running" in name]
    for value, published in zip(running, [v for k, v in want.items() if k.startswith("running.")], strict=True):
        assert_close(value, published, **EXACT)
    assert_close(head.eval()(x.detach()), want["out_eval_after_one_train_step"], **EXACT)
