"""SparseAdam: Adam of those elements alone that a sparse gradient has."""

from sympy import sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE
from reference.rule import Options, UpdateRule, Variables
from reference.rules.adam import ADAM


def sparse_adam_equations(v: Variables, options: Options) -> None:
    g = -v.g if options.maximize else v.g
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    rate = v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t)
    v.let("p", v.p - rate * m / (sqrt(s) + v.eps))


SPARSE_ADAM = UpdateRule(
    name="sparse_adam",
    title="SparseAdam: lazy Adam, which leaves alone what a sparse gradient does not have",
    source="Kingma & Ba 2015, Section 2, last paragraph before 2.1 (arXiv:1412.6980), masked as torch.optim.SparseAdam "
    "documents it",
    equations=sparse_adam_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS),
    state=tuple(s for s in ADAM.state if s.option is None),
    options=(MAXIMIZE,),
    torch=("torch.optim.SparseAdam",),
    lazy=("p", "exp_avg", "exp_avg_sq"),
    notes=(
        "elements without an entry keep parameter and moments; the step count is that of the parameter, so an element "
        "whose entries come seldom is corrected as if all its steps had had one",
        "an entry is an entry, also where its value is zero; entries of one element are added up first",
        "epsilon is added to the uncorrected root, as in adam_eps_hat",
    ),
)
