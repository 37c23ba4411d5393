"""The moments of what a projection reads are those of all its inputs at once."""

import pytest
import torch

from pareto_prune.pruning.moments import RIDGE, STRIP, InputMoments, Moments


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


@pytest.mark.parametrize("factor", [1e-4, 1.0, 30.0])
def test_the_metric_compares_projections_by_what_predictions_feel(factor):
    """As often, as many: gradients ``factor`` times as high weigh a change so many times more."""
    gradients, changed = torch.randn(50, 6), torch.randn(6).double()

    def felt(gradients, times):
        inputs = InputMoments(2, gradients.device)
        inputs.add(torch.randn(50 * times, 2))
        return Moments(inputs, times * gradients.T @ gradients).metric() @ changed

    own, other = felt(gradients, 1).norm(), felt(factor * gradients, 3).norm()
    torch.testing.assert_close(other, factor * own, rtol=1e-4, atol=1e-12)


def test_outputs_that_no_prediction_depends_on_weigh_next_to_nothing():
    inputs = InputMoments(2, torch.device("cpu"))
    inputs.add(torch.randn(5, 2))
    metric = Moments(inputs, torch.zeros(3, 3)).metric()
    assert 0 < metric.diagonal().max() < 1e-5
    assert metric.count_nonzero() == 3
