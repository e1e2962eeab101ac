"""Walk a rule by itself: the reference as an optimizer on plain arrays.

It keeps the state that the rule defines and applies one generated step at a time, in float64. To walk
a lower precision, round what it returns before the next step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference.lowering.array import lower_to_arrays
from reference.rounding import FACTOR, PRECISIONS
from reference.rule import UpdateRule, unset_symbol


class Walk:
    """One parameter under one rule.

    Args:
        rule: the rule.
        options: options that differ from their defaults.
        precision: dtype whose allowances are wanted; values are float64 whatever it is.
        matrices: dtype in which functions of matrices are computed, where it is a coarser one.

    Raises:
        RuleError: an unknown option.
    """

    def __init__(
        self,
        rule: UpdateRule,
        options: Mapping[str, bool] | None = None,
        precision: str = "float64",
        matrices: str = "",
    ):
        self.rule = rule
        self.options = options
        self.rule_step = rule.step(options)
        self.precision = PRECISIONS[precision]
        self.matrices = PRECISIONS[matrices or precision]
        self.count = 0
        self.state: dict[str, Any] = {}
        self.allowance: Any = None

    def step(self, p: Any, g: Any, hyperparameters: Mapping[str, float]) -> np.ndarray:
        """New parameter after one step with gradient ``g`` (arrays of one shape).

        ``allowance`` is then what a right implementation of this step may be off by.
        """
        shape = np.shape(p)
        self.rule_step = self.rule.step(self.options, shape)
        p, g = (np.asarray(x, dtype=np.float64).reshape(-1) for x in (p, g))
        self.count += 1
        v: dict[str, Any] = {**self.rule.defaults, **hyperparameters, "p": p, "g": g, "t": self.count}
        v |= {"p.shape": shape, "machine_epsilon": 2 * self.precision.unit}
        v["p.matrices"] = FACTOR * self.matrices.unit, FACTOR * self.matrices.smallest, self.matrices.largest
        for variable in self.rule_step.state:
            name = variable.name
            v[unset_symbol(name).name] = int(name not in self.state)
            start = variable.initial
            number = float(v[start] if isinstance(start, str) else start)
            v[name] = self.state.get(name, number if variable.scalar else np.full(p.shape, number))
            v["store_" + name] = (0.0, 0.0)
        unit = self.precision
        with np.errstate(all="ignore"):
            results = lower_to_arrays(self.rule_step)(
                np, FACTOR * unit.unit, FACTOR * unit.smallest, FACTOR * 2.0**-53, 0.0, unit.largest, v
            )
        state = {s.name: s for s in self.rule_step.state}
        for name, (value, _) in zip(self.rule_step.outputs[:-1], results, strict=False):
            variable = state[name]
            if variable.needs is None or v[variable.needs] != 0:
                self.state[variable.name] = value if variable.scalar else np.broadcast_to(value, p.shape)
        value, error = results[-1]
        self.allowance = np.broadcast_to(0.0 if error is None else error, p.shape).reshape(shape)
        return np.broadcast_to(value, p.shape).reshape(shape)
