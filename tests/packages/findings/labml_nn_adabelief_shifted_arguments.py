"""labml-nn 0.5.1: AdaBelief hands its arguments on one place off.

It calls RAdam.__init__(params, lr, betas, eps, weight_decay, amsgrad, degenerate_to_sgd, defaults), whose parameters
are (..., weight_decay, optimized_update, amsgrad, degenerated_to_sgd, defaults). So amsgrad is on by default, because
degenerate_to_sgd is; the argument amsgrad chooses the form of the update; and nothing degenerates to SGD.
"""

import sys

import torch
from labml_nn.optimizers.ada_belief import AdaBelief

p = torch.nn.Parameter(torch.zeros(1))
optimizer = AdaBelief([p], amsgrad=False)
got, exact = optimizer.param_groups[0]["amsgrad"], False
print("got  ", got)
print("exact", exact)
sys.exit(0 if got == exact else 1)
