"""state.dtypes on float16, differentiable: torch.optim.NAdam against rule nadam.

state 'mu_product' of parameter 0 was a float32 tensor of shape () on cpu and is a float16 tensor of shape () on cpu after a load
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0, momentum_decay=0; step(grad=0)
"""
import sys
from pathlib import Path

from verify.cli import main  # of optim-verify

if __name__ == "__main__":
    sys.exit(main(["replay", str(Path(__file__).with_suffix(".json"))]))
