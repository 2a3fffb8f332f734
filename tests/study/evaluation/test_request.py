"""Images that a request for metrics names."""

import pytest

from selfdistill.errors import UserError
from selfdistill.study.evaluation.request import EvaluationRequest
from tests.helpers.image_files import class_folders
from tests.helpers.small_runs import small


@pytest.fixture
def root(tmp_path):
    """Ten classes with a test image each, one of which cannot be read, beside a file of another kind."""
    class_folders(tmp_path, {f"{split}/{k}": 1 + (k == 0) for split in ("train", "test") for k in range(10)})
    (tmp_path / "test" / "0" / "00.png").write_bytes(b"no image")
    (tmp_path / "train" / "3" / "x.heic").write_bytes(b"another format")
    return tmp_path


def test_unreadable_images_of_other_data_are_skipped_on_demand_and_told(root):
    config, spec = small(), f"folder:{root}"
    with pytest.raises(UserError, match=r"cannot read the image .*or pass --skip-unreadable"):
        EvaluationRequest(data=spec).splits(config, 8)
    with pytest.warns(UserWarning, match="skipped 1 unreadable image"), pytest.warns(UserWarning, match="left out 1"):
        assert len(EvaluationRequest(data=spec, skip_unreadable=True).splits(config, 8).test) == 10
    with pytest.warns(UserWarning, match="skipped 1 unreadable image"), pytest.warns(UserWarning, match="left out 1"):
        assert len(EvaluationRequest(ood=spec, skip_unreadable=True).ood_splits(8).test) == 10


def test_a_runs_own_images_are_read_as_in_its_training(root):
    config = small(data=f"folder:{root}", limit=None, skip_unreadable=True)
    assert len(EvaluationRequest().splits(config, 8).test) == 10
