"""Small real runs."""

import pytest

from selfdistill import data


@pytest.fixture(scope="session")
def digits():
    return data.load("digits", limit=200)
