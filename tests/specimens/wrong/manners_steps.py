"""Broken manners: right numbers, and wrong with closures, graphs, autograd's versions or hooks."""

import torch
from _faithful import SGD, Adam, AdamW, Faithful

# -- closures --------------------------------------------------------------------------------


class CollectsBeforeClosure(SGD):
    """The parameters that have gradients are collected before the closure makes them."""

    def step(self, closure=None):
        ready = {p for p in self.held() if p.grad is not None}
        loss = self.evaluate(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p in ready and p.grad is not None:
                        self.move(p, self.gradient(p, group), self.state[p], group)
        return loss


class CountsBeforeClosure(Adam):
    """Counts are advanced before the closure, and are a step ahead when it raises."""

    def evaluate(self, closure):
        for state in self.state.values():
            state["step"] += 1
        loss = super().evaluate(closure)
        for state in self.state.values():
            state["step"] -= 1
        return loss


class BusyAfterError(SGD):
    """A flag against calls from inside the closure stays when it raises, and later steps do nothing."""

    def step(self, closure=None):
        if self.__dict__.get("busy"):
            return None
        self.busy = True
        loss = super().step(closure)
        self.busy = False
        return loss


class ErrorSwallowed(SGD):
    """A closure that raises is told to nobody; the step is left out."""

    def step(self, closure=None):
        try:
            loss = self.evaluate(closure)
        except Exception:
            return None
        with torch.no_grad():
            self.walk()
        return loss


class LrBeforeClosure(SGD):
    """lr is read before the closure, which may have edited it."""

    def step(self, closure=None):
        self.rates = [float(group["lr"]) for group in self.param_groups]
        loss = self.evaluate(closure)
        with torch.no_grad():
            for lr, group in zip(self.rates, self.param_groups, strict=True):
                for p in group["params"]:
                    if p.grad is not None:
                        self.move(p, self.gradient(p, group), self.state[p], {**group, "lr": lr})
        return loss


# -- graphs and modes ------------------------------------------------------------------------


class VelocityOnGraph(Faithful):
    """The velocity is computed with autograd on, and holds the graph of gradients that have one."""

    def __init__(self, params, lr=1e-3, momentum=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, maximize=maximize))

    def step(self, closure=None):
        loss = self.evaluate(closure)
        self.walk()
        return loss

    def move(self, p, g, state, group):
        if group["momentum"]:
            old = state.get("momentum_buffer")
            state["momentum_buffer"] = g = g.clone() if old is None else group["momentum"] * old + g
        with torch.no_grad():
            p.sub_(float(group["lr"]) * g)


class GradientTakenOut(SGD):
    """step() detaches every gradient in place, out of the caller's graph."""

    def gradient(self, p, group):
        if p.grad.grad_fn is not None:
            p.grad.detach_()
        return super().gradient(p, group)


class GradOffAfterRefusal(SGD):
    """Autograd is switched off by hand, and stays off when a sparse gradient is refused."""

    def step(self, closure=None):
        loss = self.evaluate(closure)
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        self.walk()
        torch.set_grad_enabled(before)
        return loss


class StepsInInference(Adam):
    """The step runs in inference mode, and so its state can be used nowhere else."""

    def walk(self):
        with torch.inference_mode():
            super().walk()


# -- parameters ------------------------------------------------------------------------------


class WritesToData(SGD):
    """The update is written to p.data, past autograd's count of versions."""

    def move(self, p, g, state, group):
        super().move(p.data, g, state, group)


class ClipsByHook(SGD):
    """The constructor gives every parameter a hook that clips its gradient in every backward."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.requires_grad:
                p.register_hook(self.clipped)

    @staticmethod
    def clipped(g):
        return torch.view_as_complex(torch.view_as_real(g).clamp(-1, 1)) if g.is_complex() else g.clamp(-1, 1)


class HooksAfterAccumulation(SGD):
    """The first step leaves a hook on every parameter that clips p.grad once it is complete."""

    def walk(self):
        super().walk()
        for p in self.held():
            if not p._post_accumulate_grad_hooks:
                p.register_post_accumulate_grad_hook(lambda q: q.grad.clamp_(-1, 1))


class ClipsInAccumulator(SGD):
    """The constructor hooks the place where autograd adds gradients up, and clips there what arrives."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        places = self.__dict__.setdefault("places", [])
        for p in self.param_groups[-1]["params"]:
            if p.requires_grad and not p.is_complex():
                with torch.enable_grad():
                    places.append(p.expand_as(p).grad_fn.next_functions[0][0])
                places[-1].register_prehook(lambda gradients: tuple(g.clamp(-1, 1) for g in gradients))

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "places"}


# -- compile ---------------------------------------------------------------------------------


class MaximizeLostWhenCompiled(AdamW):
    """The branch for the compiler does not look at maximize."""

    def gradient(self, p, group):
        return super().gradient(p, {**group, "maximize": False} if torch.compiler.is_compiling() else group)
