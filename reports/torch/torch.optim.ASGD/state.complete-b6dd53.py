"""state.complete on bfloat16, for-loop: torch.optim.ASGD against rule asgd.

loaded into a new instance on new tensors, parameter 0 is -0.33203125 instead of -0.333984375 after step 3 (element 0); it must be the same, bit for bit
smallest    build [tensor(1,)] with lr=1, lambd=1, alpha=1, t0=0, weight_decay=0; step(grad=1, 0); step(grad=0, 0); step(grad=0, 0)
"""
import sys
from pathlib import Path

from verify.cli import main  # of optim-verify

if __name__ == "__main__":
    sys.exit(main(["replay", str(Path(__file__).with_suffix(".json"))]))
