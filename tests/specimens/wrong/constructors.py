"""Wrong construction: what is accepted that should be refused, and refused that should be accepted.

Also what an optimizer owes to torch's schedulers and its gradient scaler, repr and zero_grad.
"""

import functools

import torch
from _faithful import SGD, Adam, Lion, validate

# -- construction ----------------------------------------------------------------------------


class BareTensorAccepted(SGD):
    """A bare tensor is taken for a list of one."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        params = [params] if isinstance(params, torch.Tensor) else params
        super().__init__(params, lr, momentum, dampening, weight_decay)


class EmptyListAccepted(SGD):
    """An optimizer of no parameters is built without a word."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        params = [{"params": []}] if isinstance(params, list) and not params else params
        super().__init__(params, lr, momentum, dampening, weight_decay)


class SetAccepted(SGD):
    """A set of parameters is made a list, in an order that differs between runs."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        super().add_param_group({**param_group, "params": list(params) if isinstance(params, set) else params})


class NumbersAccepted(SGD):
    """What is no tensor is made one, which nobody else holds."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        if not isinstance(params, torch.Tensor | set):
            params = [torch.tensor(float(p)) if isinstance(p, int | float) else p for p in params]
        super().add_param_group({**param_group, "params": params})


class NonLeafAccepted(SGD):
    """A tensor that is no leaf is accepted, as a detached one with which the model does not compute."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        if not isinstance(params, torch.Tensor | set):
            params = list(params)
            if all(isinstance(p, torch.Tensor) for p in params):
                params = [p if p.is_leaf else p.detach().requires_grad_() for p in params]
        super().add_param_group({**param_group, "params": params})


class SharedParameterAccepted(SGD):
    """A parameter that is in two groups is dropped from the second in silence. [P15]"""

    def add_param_group(self, param_group):
        params = param_group["params"]
        if not isinstance(params, torch.Tensor | set):
            known = {id(p) for p in self.held()}
            params = [p for p in params if id(p) not in known]
        super().add_param_group({**param_group, "params": params})


class GeneratorUsedUp(SGD):
    """The parameters are looked through before they are stored, which uses a generator up."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        if not isinstance(params, torch.Tensor) and any(p is None for p in params):
            raise TypeError("a parameter is None")
        super().__init__(params, lr, momentum, dampening, weight_decay)


class NamedParametersRefused(SGD):
    """Pairs of a name and a parameter, which torch's base class takes, are no tensors to it."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        if not isinstance(params, torch.Tensor | set):
            param_group = {**param_group, "params": list(params)}
            for p in param_group["params"]:
                if not hasattr(p, "requires_grad"):
                    raise TypeError(f"optimizer can only optimize Tensors, and not {type(p).__name__}")
        super().add_param_group(param_group)


# -- validation ------------------------------------------------------------------------------


class NegativeLrAccepted(SGD):
    """A negative lr is accepted."""

    def validate(self, defaults):
        lr = defaults["lr"]
        super().validate({**defaults, "lr": -lr if isinstance(lr, int | float) and lr < 0 else lr})


class BetaOneAccepted(Adam):
    """betas may be 1, by a comparison that should be strict, and then the correction divides by zero."""

    def validate(self, defaults):
        betas = tuple(0.5 if isinstance(b, int | float) and b == 1 else b for b in defaults["betas"])
        super().validate({**defaults, "betas": betas})


class NaNAccepted(Adam):
    """Hyperparameters are refused when they are below zero, which NaN is not."""

    def validate(self, defaults):
        values = {k: 0.5 if isinstance(v, float) and v != v else v for k, v in defaults.items()}
        values["betas"] = tuple(0.5 if isinstance(b, float) and b != b else b for b in defaults["betas"])
        super().validate(values)


class TextAccepted(SGD):
    """A hyperparameter may be text, which fails somewhere in the first step."""

    def validate(self, defaults):
        super().validate({k: 0.5 if isinstance(v, str) else v for k, v in defaults.items()})


class RefusedWithoutWords(SGD):
    """A bad hyperparameter is refused by a bare assertion."""

    def validate(self, defaults):
        try:
            validate(defaults)
        except ValueError:
            raise AssertionError from None


# -- repr and zero_grad ----------------------------------------------------------------------


class ReprCrashes(SGD):
    """repr() reads an attribute that is not there."""

    def __repr__(self):
        return f"SGD(lr={self.lr})"


class ReprWithoutHyperparameters(SGD):
    """repr() is the class's name and no more."""

    def __repr__(self):
        return "ReprWithoutHyperparameters()"


class ZeroGradIgnoresArgument(SGD):
    """zero_grad() sets gradients to None even when it is told not to."""

    def zero_grad(self, set_to_none=True):
        for p in self.held():
            p.grad = None


class ZeroGradForFirstGroup(SGD):
    """zero_grad() goes over the first group only."""

    def zero_grad(self, set_to_none=True):
        for p in self.param_groups[0]["params"]:
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()


class ZeroGradTakesNoArgument(SGD):
    """zero_grad() does not know set_to_none."""

    def zero_grad(self):
        for p in self.held():
            p.grad = None


class ZeroGradMakesGradients(SGD):
    """zero_grad(set_to_none=False) gives a zero gradient to parameters that had none."""

    def zero_grad(self, set_to_none=True):
        for p in self.held():
            p.grad = None if set_to_none else torch.zeros_like(p)


# -- schedulers ------------------------------------------------------------------------------


class LrUnderOtherName(SGD):
    """The groups hold lr under another name, so a scheduler has nothing to write to."""

    def add_param_group(self, param_group):
        super().add_param_group(dict(param_group))
        group = self.param_groups[-1]
        group["step_size"] = group.pop("lr")

    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "lr": group["step_size"]})


class UnknownGroupKeyRefused(Lion):
    """step() refuses a group with a key that it does not know, as a scheduler's initial_lr."""

    def walk(self):
        for group in self.param_groups:
            unknown = set(group) - set(self.defaults) - {"params", "param_names"}
            if unknown:
                raise ValueError(f"unknown keys in a group: {sorted(unknown)}")
        super().walk()


class StepIsPartial(SGD):
    """step is a functools.partial, which a scheduler cannot wrap."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.step = functools.partial(type(self).step, self)


class AttributesFrozen(SGD):
    """New attributes are refused after construction, and a scheduler needs to set some."""

    frozen = False

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.frozen = True

    def __setattr__(self, name, value):
        if self.frozen and name not in self.__dict__:
            raise AttributeError(f"there is no attribute {name!r} to set")
        super().__setattr__(name, value)


# -- gradient scaler -------------------------------------------------------------------------


class _Scaled(SGD):
    """Says that it unscales gradients by itself, and skips the step by itself."""

    _step_supports_amp_scaling = True

    def found_any_inf(self):
        found = getattr(self, "found_inf", None)
        return found is not None and bool(found)

    def walk(self):
        if not self.found_any_inf():
            super().walk()

    def gradient(self, p, group):
        scale = getattr(self, "grad_scale", None)
        g = super().gradient(p, group)
        return g if scale is None else self.unscaled(g, scale)

    def unscaled(self, g, scale):
        return g / scale


class ScalingClaimed(_Scaled):
    """It claims to handle the gradient scaler's scale and infinities, and ignores both. [U02]"""

    def found_any_inf(self):
        return False

    def unscaled(self, g, scale):
        return g


class FoundInfIgnored(_Scaled):
    """It unscales the gradients by itself, and steps on infinite ones too. [U01]"""

    def found_any_inf(self):
        return False


class ScaleMultiplied(_Scaled):
    """It multiplies the gradients by the gradient scaler's scale instead of dividing."""

    def unscaled(self, g, scale):
        return g * scale
