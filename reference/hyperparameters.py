"""Hyperparameters that many rules share, with torch's names and domains."""

from reference.rule import Hyperparameter, Option

LR = Hyperparameter("lr", 1e-3, trials=(1.0, 0.5, 0.1, 0.03, 1e-4))
BETA1 = Hyperparameter("beta1", 0.9, high=1.0, arguments=("betas[0]", "beta1"), trials=(0.5, 0.9, 0.0, 0.25, 0.99))
BETA2 = Hyperparameter(
    "beta2", 0.999, high=1.0, arguments=("betas[1]", "beta2"), trials=(0.8, 0.5, 0.99, 0.0, 0.999, 0.9973, 0.99999)
)
BETA3 = Hyperparameter("beta3", 0.99, high=1.0, arguments=("betas[2]", "beta3"), trials=(0.75, 0.9, 0.0, 0.99, 0.999))
EPS = Hyperparameter("eps", 1e-8, arguments=("eps", "epsilon"), trials=(0.1, 1.0, 1e-2, 1e-4, 1e-8))
WEIGHT_DECAY = Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0, 0.1, 1.0))
MOMENTUM = Hyperparameter("momentum", 0.0, absent=0.0, trials=(0.9, 0.5, 0.0, 0.97))

MAXIMIZE = Option("maximize", about="climb instead of descend: the gradient changes sign")
