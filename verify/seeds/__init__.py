"""Curve fitting from numpy to torch.optim: a tutorial's training tables, walked by the generated reference step."""
