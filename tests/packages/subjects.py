"""labml-nn takes weight decay as an object, which no command line can give; here it is made from two numbers."""


def labml_adam(
    params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0, decoupled_weight_decay=True, optimized_update=True
):
    from labml_nn.optimizers import WeightDecay
    from labml_nn.optimizers.adam import Adam

    decay = WeightDecay(weight_decay, decoupled_weight_decay)
    return Adam(params, lr, betas, eps, weight_decay=decay, optimized_update=optimized_update)


def labml_amsgrad(
    params,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-16,
    weight_decay=0.0,
    decoupled_weight_decay=True,
    optimized_update=True,
    amsgrad=True,
):
    from labml_nn.optimizers import WeightDecay
    from labml_nn.optimizers.amsgrad import AMSGrad

    decay = WeightDecay(weight_decay, decoupled_weight_decay)
    return AMSGrad(params, lr, betas, eps, weight_decay=decay, optimized_update=optimized_update, amsgrad=amsgrad)


def labml_radam(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled_weight_decay=True):
    from labml_nn.optimizers import WeightDecay
    from labml_nn.optimizers.radam import RAdam

    return RAdam(params, lr, betas, eps, weight_decay=WeightDecay(weight_decay, decoupled_weight_decay))


def labml_adabelief(
    params,
    lr=1e-3,
    betas=(0.9, 0.999),
    eps=1e-16,
    weight_decay=0.0,
    decoupled_weight_decay=True,
    amsgrad=False,
    degenerate_to_sgd=True,
):
    from labml_nn.optimizers import WeightDecay
    from labml_nn.optimizers.ada_belief import AdaBelief

    decay = WeightDecay(weight_decay, decoupled_weight_decay)
    return AdaBelief(
        params,
        lr,
        betas,
        eps,
        weight_decay=decay,
        amsgrad=amsgrad,
        degenerate_to_sgd=degenerate_to_sgd,
        rectify=False,
    )


def adafactor(
    params,
    lr=1e-3,
    beta1=0.9,
    decay_rate=-0.8,
    eps1=1e-30,
    eps2=1e-3,
    clip_threshold=1.0,
    weight_decay=0.0,
    scale_parameter=True,
    relative_step=True,
):
    """That of pytorch-optimizer, with its momentum in float32 and without its bound on beta2."""
    import torch
    from pytorch_optimizer import AdaFactor

    return AdaFactor(
        params,
        lr,
        (beta1, 1 - 2**-52),
        decay_rate,
        weight_decay,
        clip_threshold=clip_threshold,
        scale_parameter=scale_parameter,
        relative_step=relative_step,
        eps1=eps1,
        eps2=eps2,
        momentum_dtype=torch.float32,
    )
