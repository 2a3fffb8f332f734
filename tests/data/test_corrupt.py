"""An image that turns out to be broken in the midst of an epoch of a plain loop."""

import io

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

from selfdistill import loader, teach
from selfdistill.errors import UserError
from tests.helpers.networks import network


class Pictures:
    """Picture files that are read when they are asked for."""

    def __init__(self, folder):
        self.paths = [folder / f"{row}.png" for row in range(24)]
        for row, path in enumerate(self.paths):
            Image.new("RGB", (16, 16), (10 * row, 255 - 10 * row, 99)).save(path)
        self.targets = [row % 5 for row in range(24)]

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        with Image.open(self.paths[row]) as picture:
            return to_tensor(picture.convert("RGB")), self.targets[row]


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_named_and_what_was_learnt_can_be_saved(tmp_path, workers):
    data = Pictures(tmp_path)
    data.paths[17].write_bytes(data.paths[17].read_bytes()[:60])
    taught = teach(network(), "dsr() + csd()", torch.stack([data[row][0] for row in range(8)]))
    optimizer = torch.optim.SGD(taught.parameters(), lr=0.1)

    def epoch():
        for batch in loader(data, taught, 8, shuffle=False, num_workers=workers):
            optimizer.zero_grad()
            taught(batch).backward()
            optimizer.step()

    with pytest.raises(UserError, match=r"item 17 of the data set cannot be read: (\w+): .*; repair or remove it"):
        epoch()
    file = io.BytesIO()
    torch.save(taught.state_dict(), file)
    file.seek(0)
    other = teach(network(seed=5), "dsr() + csd()", torch.zeros(8, 3, 16, 16))
    other.load_state_dict(torch.load(file, weights_only=True))
    data.paths[17] = data.paths[16]
    batch = next(iter(loader(data, taught, 8, shuffle=False)))
    assert taught(batch).item() == other(batch).item()
