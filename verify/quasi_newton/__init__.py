"""Driving optimizers that call a closure several times in one step, and judging what they do (rule ``lbfgs``)."""
