from torch.testing import assert_close

from selfdistill.heads import AttentiveFusion

EXACT = {"rtol": 1e-9, "atol": 1e-13}


def test_a_fusion_is_the_published_module(reference):
    want = reference("reviewkd_abf")
    own, deeper = want["x"].requires_grad_(), want["y"].requires_grad_()
    fusion = AttentiveFusion(5, 6, 4, fuse=True).double()
    named = {name.replace(".", "_"): name for name in fusion.state_dict()}
    given = {named[key.removeprefix("param_")]: each for key, each in want.items() if key.startswith("param_")}
    assert not fusion.load_state_dict(given, strict=False).unexpected_keys
    guess, residual = fusion(own, deeper, (4, 4))
    (guess * want["probe_weight"]).sum().backward()
    assert_close(guess.detach(), want["out_feature"], **EXACT)
    assert_close(residual.detach(), want["residual"], **EXACT)
    assert_close(own.grad, want["grad_x"], **EXACT)
    assert_close(deeper.grad, want["grad_y"], **EXACT)
