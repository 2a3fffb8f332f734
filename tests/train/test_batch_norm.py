"""A run whose batch norms get one value per channel ends with words, not with torch's error."""

import pytest

import selfdistill as sd
from selfdistill.errors import UserError


@pytest.mark.parametrize("method", ["drg()", "lightskd()", "byot()"])
def test_a_batch_of_one_row_says_so(method, tmp_path):
    config = sd.RunConfig(method, "fake:classes=4,size=8,train=4,test=4", "resnet8", epochs=1, batch_size=1)
    with pytest.raises(UserError, match="gets one value per channel.*the batch has 1 row and"):
        sd.run(config, tmp_path)
