"""The moments of what a projection reads are those of all its inputs at once."""

import pytest
import torch

from pareto_prune.pruning.moments import RIDGE, STRIP, InputMoments


@pytest.mark.parametrize("width", [3, STRIP, STRIP + 5])
@pytest.mark.parametrize("centred", [True, False])
def test_covariance_of_several_batches(width, centred):
    x = torch.randn(40, width) * torch.linspace(0.5, 2, width) + torch.linspace(-1, 1, width)
    summed = InputMoments(width, x.device)
    for batch in x.split(16):
        summed.add(batch)
    found, mean = summed.covariance(centred)
    x = x.double()
    wanted = torch.cov(x.T, correction=0) if centred else x.T @ x / len(x)
    wanted += RIDGE * wanted.diagonal().mean() * torch.eye(width, dtype=torch.float64)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mean, x.mean(0) * centred, atol=1e-6, rtol=1e-5)
    assert summed.finite


def test_one_input_that_is_no_number_shows():
    summed = InputMoments(2, torch.device("cpu"))
    summed.add(torch.tensor([[1.0, torch.nan]]))
    assert not summed.finite
