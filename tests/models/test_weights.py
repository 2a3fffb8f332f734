import pickle

import pytest
import torch
from safetensors.torch import save_file

from selfdistill import models
from selfdistill.errors import UserError


@pytest.fixture(params=["safetensors", "pt", "pth", "nested.pth"])
def saved(request, tmp_path):
    """A resnet8 of 10 classes, and the file that holds its weights."""
    network = models.create("resnet8", 10)
    path = tmp_path / f"weights.{request.param}"
    state = network.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state, "epoch": 3} if "nested" in path.name else state, path)
    return network, path


def test_round_trip(saved):
    network, path = saved
    images = torch.randn(2, 3, 8, 8)
    again = models.create("resnet8", 10, weights=path).eval()
    assert torch.equal(again(images), network.eval()(images))


def test_another_class_count_leaves_the_classifier_new(saved):
    network, path = saved
    torch.manual_seed(7)
    fresh = models.create("resnet8", 5).state_dict()
    torch.manual_seed(7)
    loaded = models.create("resnet8", 5, weights=str(path)).state_dict()
    for key, value in network.state_dict().items():
        expected = fresh[key] if key.startswith("classifier") else value
        assert torch.equal(loaded[key], expected)


def test_loading_draws_nothing(saved):
    torch.manual_seed(7)
    models.create("resnet8", 10)
    expected = torch.get_rng_state()
    torch.manual_seed(7)
    models.create("resnet8", 10, weights=saved[1])
    assert torch.equal(torch.get_rng_state(), expected)


def test_weights_of_another_network(saved):
    _, path = saved
    with pytest.raises(UserError) as caught:
        models.create("resnet14", 10, weights=path)
    assert str(caught.value).startswith(f"{path} holds the weights of another network (missing: layer1.1.")
    assert "and 27 more" in str(caught.value)


def test_weights_of_another_width(saved):
    _, path = saved
    with pytest.raises(UserError, match=r"of another shape: stem.0.weight, stem.1.weight, stem.1.bias and"):
        models.create("resnet8x4", 10, weights=path)


def test_unexpected_keys(tmp_path):
    state = models.create("resnet8", 10).state_dict()
    save_file({**state, "extra.weight": torch.ones(2)}, tmp_path / "more.safetensors")
    with pytest.raises(UserError, match=r"another network \(unexpected: extra.weight\)$"):
        models.create("resnet8", 10, weights=tmp_path / "more.safetensors")


def test_old_files_without_batch_counts(tmp_path):
    state = models.create("resnet8", 10).state_dict()
    old = {key: torch.rand_like(value) for key, value in state.items() if "num_batches" not in key}
    torch.save(old, tmp_path / "old.pth")
    loaded = models.create("resnet8", 10, weights=tmp_path / "old.pth").state_dict()
    assert len(old) < len(loaded)
    assert all(torch.equal(loaded[key], value) for key, value in old.items())


class Command:
    def __reduce__(self):
        return print, ("run by a weights file",)


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth", "empty.pt", "empty.safetensors", "code.pt"])
def test_damaged_or_dangerous_file(name, tmp_path, capsys):
    path = tmp_path / name
    contents = {"cut": b"\x80\x02junk", "empty": b"", "code": pickle.dumps({"weight": Command()})}
    path.write_bytes(contents[path.stem])
    with pytest.raises(UserError) as caught:
        models.create("resnet8", 10, weights=path)
    assert str(caught.value).startswith(f"{path} cannot be read: it is damaged, or holds more than tensors; ")
    assert capsys.readouterr().out == ""


def test_not_a_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match=r"list.pt holds no state dict; save model.state_dict\(\)"):
        models.create("resnet8", 10, weights=tmp_path / "list.pt")


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"there is no weights file .*none.pt"):
        models.create("resnet8", 10, weights=tmp_path / "none.pt")


def test_another_format(tmp_path):
    (tmp_path / "weights.h5").touch()
    with pytest.raises(UserError, match=r"read from .safetensors, .pt and .pth files, not from .*weights.h5"):
        models.create("resnet8", 10, weights=tmp_path / "weights.h5")
