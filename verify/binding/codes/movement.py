"""What moves, and on which gradients. All of these need watch."""

from verify.binding.codes.code import Code

CODES = (
    Code(
        "frozen-moved",
        "error",
        "step() moved a parameter with requires_grad=False.",
        "A gradient from before the freeze is still there, and momentum, moments or decay act on it for ever.",
        "watch: sampled elements before and after the step.",
        "None known.",
        "p.grad = None, or optimizer.zero_grad(set_to_none=True), when you freeze.",
    ),
    Code(
        "moved-without-grad",
        "warning",
        "step() moved a parameter that had no gradient.",
        "Decay or momentum act on layers that were not used; unused weights shrink.",
        "watch: grad None before the step and sampled elements before and after. Steps with a closure are left out.",
        "Optimizers that interpolate weights in step().",
        "In the optimizer: if p.grad is None: continue.",
    ),
    Code(
        "moved-on-zero-grad",
        "info",
        "step() moved a parameter whose gradient was zero everywhere.",
        "A branch that was not used this time moves by momentum and decay, because "
        "zero_grad(set_to_none=False) leaves zeros where None would skip it.",
        "watch: sampled elements, confirmed on the whole gradient.",
        "A design choice.",
        "optimizer.zero_grad(set_to_none=True).",
    ),
    Code(
        "moved-between",
        "info",
        "A parameter moved between two steps.",
        "Its state in the optimizer belongs to the old values: weights were loaded, reset, swapped or merged.",
        "watch: sampled elements after one step and before the next.",
        "Clipping of weights, averages that are swapped in, a resume: all intended.",
        "After loading weights, load or clear the optimizer's state too.",
    ),
    Code(
        "no-gradients",
        "warning when it happens twice in a row, or while the model has gradients; info once",
        "step() was called while every gradient of the optimizer was None.",
        "It does nothing, without a word.",
        "watch: gradients before the step. Steps with a closure are left out.",
        "A single step to please a scheduler.",
        "loss.backward() before step(), on a model whose parameters this optimizer holds.",
    ),
    Code(
        "gradients-kept",
        "warning",
        "Gradients were never zeroed between two steps.",
        "They add up over all steps.",
        "watch: where the gradient is the same object at two steps in a row, its sampled elements are followed through every "
        "backward in between.",
        "None known; gradient accumulation inside one step is not meant.",
        "optimizer.zero_grad() in every iteration, on the optimizer that steps.",
    ),
)
