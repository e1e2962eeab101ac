"""Do the model, its optimizers and its schedulers still share their tensors? ``verify.audit`` and ``verify.watch``.

This package imports torch only where it looks at tensors; the codes and their explanations need none.
"""
