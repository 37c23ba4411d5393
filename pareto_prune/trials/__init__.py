"""One trial and what it needs: the dense model, the calibration, training, evaluation."""
