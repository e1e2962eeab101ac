"""Both forms of Adam with a decoupled decay that is not multiplied by lr, as rules of their own."""

from reference import get_rule
from reference.variants import variant

ADAM = variant(get_rule("adam"), "decay.decoupled_without_lr").rule
ADAM_EPS_HAT = variant(get_rule("adam_eps_hat"), "decay.decoupled_without_lr").rule
