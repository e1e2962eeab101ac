"""determinism.threads on bfloat16, fused: torch.optim.SGD against rule sgd.

with two threads, parameter 0, state 'momentum_buffer' is 4.78125 instead of 1.15833245e-08 after step 2 (element 93); it must be the same, bit for bit
smallest    build [1] with lr=1, momentum=0.5, dampening=0, weight_decay=0; step(grad=pool[0:]); step(grad=pool[300:]); step(grad=pool[600:])
"""
import sys
from pathlib import Path

from verify.cli import main  # of optim-verify

if __name__ == "__main__":
    sys.exit(main(["replay", str(Path(__file__).with_suffix(".json"))]))
