"""Tests of networks use one thread: small operations on several threads are slow on a busy machine."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Tests of threads set their own number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
