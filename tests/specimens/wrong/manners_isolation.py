"""Bad citizens beyond torch: right numbers, and something done to Python, numpy or the process."""

import gc
import os
import random
import warnings

import numpy as np
import torch
from _faithful import SGD


class WarningsSilenced(SGD):
    """The constructor silences the warnings of the whole program."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        warnings.simplefilter("ignore")


class PythonSeeded(SGD):
    """The constructor seeds Python's random numbers."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        random.seed(0)


class NumpyDrawn(SGD):
    """step() draws from numpy's global random numbers."""

    def walk(self):
        np.random.random()
        super().walk()


class CollectorSwitchedOff(SGD):
    """step() switches the garbage collector off."""

    def walk(self):
        gc.disable()
        super().walk()


class VariableSet(SGD):
    """The constructor sets a variable of the environment."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        os.environ["SGD_MODE"] = "fast"


class NumpyErrorsRaise(SGD):
    """step() makes numpy raise where it divided by zero before."""

    def walk(self):
        np.seterr(divide="raise")
        super().walk()


class PrecisionLowered(SGD):
    """The constructor lets matrix products of the whole program be computed with fewer digits."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        torch.set_float32_matmul_precision("medium")


class MemoryUnfilled(SGD):
    """step() switches off that torch's deterministic mode fills new memory."""

    def walk(self):
        torch.utils.deterministic.fill_uninitialized_memory = False
        super().walk()


class DirectoryLeft(SGD):
    """step() changes the working directory."""

    def walk(self):
        os.chdir("/")
        super().walk()
