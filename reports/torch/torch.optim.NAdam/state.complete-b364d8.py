"""state.complete on bfloat16, differentiable: torch.optim.NAdam against rule nadam.

loaded into a new instance on new tensors, parameter 0 is -0.0849609375 instead of -0.0844726562 after step 2 (element 0); it must be the same, bit for bit
smallest    build [0] with lr=1, beta1=0.5, beta2=0, eps=1, weight_decay=0, momentum_decay=0; step(grad=0); step(grad=0.1)
"""
import sys
from pathlib import Path

from verify.cli import main  # of optim-verify

if __name__ == "__main__":
    sys.exit(main(["replay", str(Path(__file__).with_suffix(".json"))]))
