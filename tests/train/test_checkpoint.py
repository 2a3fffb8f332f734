import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.train import checkpoint


def test_the_one_before_is_kept(tmp_path):
    for epoch in range(3):
        checkpoint.save(tmp_path, {"epoch": epoch, "memories": {"centers": (torch.ones(2) * epoch, None)}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "previous.ckpt"]
    assert checkpoint.load(tmp_path)["memories"]["centers"][0].tolist() == [2, 2]
    assert torch.load(tmp_path / "previous.ckpt", weights_only=True)["epoch"] == 1


@pytest.mark.parametrize("damage", [b"", b"no checkpoint", None])
def test_a_damaged_one_is_named_with_the_way_out(tmp_path, damage):
    checkpoint.save(tmp_path, {"weights": torch.rand(100)})
    whole = (tmp_path / "last.ckpt").read_bytes()
    (tmp_path / "last.ckpt").write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(UserError, match=r"cannot read the checkpoint .*last.ckpt .*put previous.ckpt in its place"):
        checkpoint.load(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"evil": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="UnpicklingError"):
        checkpoint.load(tmp_path)


class Evil:
    def __reduce__(self):
        return pytest.fail, ("the checkpoint was executed",)


def test_random_streams_go_on_where_they_stood():
    torch.manual_seed(3)
    state = checkpoint.random_state()
    first = torch.rand(4)
    torch.rand(100)
    checkpoint.set_random_state(state)
    assert torch.equal(torch.rand(4), first)


def test_one_process_is_a_list_of_one():
    assert checkpoint.of_each_rank({"a": 1}) == [{"a": 1}]
