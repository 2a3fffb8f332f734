import numpy as np
import pytest
import torch

from selfdistill.data.row_views import Joined, Mapped, Taken, take


def test_parts_one_after_the_other():
    joined = Joined(["ab", "", "c"])
    assert [*joined] == ["a", "b", "c"]
    assert joined[-1] == "c"
    with pytest.raises(IndexError):
        joined[3]


def test_a_slice_is_a_view_of_the_same_items():
    assert [*Mapped(str, range(5))[1:4]] == ["1", "2", "3"]


def test_taken_rows_of_taken_rows_do_not_nest():
    once = take(Mapped(str, range(9)), torch.tensor([8, 6, 4]))
    twice = take(once, torch.tensor([2, 0]))
    assert [*twice] == ["4", "8"]
    assert isinstance(twice, Taken)
    assert isinstance(twice.items, Mapped)


def test_rows_of_a_list_are_a_list():
    assert take(["a", "b"], torch.tensor([1])) == ["b"]


def test_a_view_holds_no_items():
    made = []
    view = take(Mapped(made.append, range(10**6)), torch.from_numpy(np.arange(10**6)))
    assert len(view) == 10**6
    assert not made
