"""What people do every day, beside the rows of the table: nothing may be found."""

import copy

import torch
from torch import nn

from tests.binding.scenes import (
    ERROR,
    INFO,
    WARNING,
    Net,
    adam,
    backward,
    batch,
    benign,
    faulty,
    net,
    quietly,
    sgd,
    train,
)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x)


@benign()
def trains_a_gan():
    generator, discriminator = net(), Discriminator()
    g, d = adam(generator), adam(discriminator)
    yield {"generator": generator, "discriminator": discriminator}, {"g": g, "d": d}
    for _ in range(10):
        fake = generator(batch(generator))
        d.zero_grad()
        discriminator(fake.detach()).mean().backward()
        d.step()
        g.zero_grad()
        (-discriminator(fake)).mean().backward()
        g.step()


@benign()
def trains_a_gan_whose_gradients_are_filled_with_zeros():
    """The generator's backward goes through the discriminator, and may cancel what is there."""
    generator, discriminator = net(), Discriminator()
    g, d = adam(generator), adam(discriminator)
    yield [generator, discriminator], [g, d]
    for _ in range(40):
        fake = generator(batch(generator))
        d.zero_grad(set_to_none=False)
        discriminator(fake.detach()).mean().backward()
        d.step()
        g.zero_grad(set_to_none=False)
        (-discriminator(fake)).mean().backward()
        g.step()


@benign()
def trains_a_wasserstein_gan_with_frozen_turns():
    generator, discriminator = net(), Discriminator()
    g, d = adam(generator), adam(discriminator)
    yield [generator, discriminator], [g, d]
    for _ in range(10):
        discriminator.requires_grad_(True)
        d.zero_grad()
        discriminator(generator(batch(generator)).detach()).mean().backward()
        d.step()
        discriminator.requires_grad_(False)
        g.zero_grad()
        (-discriminator(generator(batch(generator)))).mean().backward()
        g.step()


@benign()
def keeps_an_average_beside_the_model():
    model = net()
    ema = copy.deepcopy(model)
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(5):
        train(model, optimizer, steps=1)
        with torch.no_grad():
            for p, q in zip(ema.parameters(), model.parameters(), strict=True):
                p.lerp_(q, 0.1)


@faulty(audit={"not-optimized": INFO}, watch={"not-optimized": INFO})
def gives_an_average_that_requires_grad():
    model = net()
    ema = copy.deepcopy(model)
    optimizer = adam(model)
    yield [model, ema], optimizer
    train(model, optimizer)


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = Net()
        self.teacher = Net().requires_grad_(False)

    def forward(self, x):
        return self.student(x) - self.teacher(x).detach()


@benign()
def distils_from_a_frozen_teacher_that_follows():
    model = Student()
    optimizer = torch.optim.AdamW(model.student.parameters())
    yield model, optimizer
    for _ in range(5):
        train(model, optimizer, steps=1)
        with torch.no_grad():
            for p, q in zip(model.teacher.parameters(), model.student.parameters(), strict=True):
                p.lerp_(q, 0.1)


@benign()
def gives_all_parameters_with_a_frozen_teacher():
    model = Student()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    yield model, optimizer
    train(model, optimizer, steps=20)


@benign()
def trains_by_layers_with_different_rates():
    model = net()
    optimizer = torch.optim.AdamW(
        [{"params": model.body.named_parameters(), "lr": 1e-4}, {"params": model.head.named_parameters(), "lr": 1e-3}]
    )
    yield model, optimizer
    train(model, optimizer)


@benign()
def builds_the_optimizer_from_named_parameters():
    model = net()
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1)
    yield model, optimizer
    train(model, optimizer)
    optimizer.load_state_dict(optimizer.state_dict())
    train(model, optimizer)


@benign()
def alternates_training_and_evaluation():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
    optimizer = adam(model)
    yield model, optimizer
    for _ in range(4):
        model.train()
        train(model, optimizer, steps=2)
        model.eval()
        with torch.no_grad():
            model(batch(model))


@benign()
def clips_and_adds_noise_to_gradients():
    model = net()
    optimizer = sgd(model, momentum=0.9, nesterov=True)
    yield model, optimizer
    for _ in range(5):
        optimizer.zero_grad()
        backward(model)
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        for p in model.parameters():
            p.grad.add_(torch.ones_like(p) * 1e-3)
        optimizer.step()


@benign()
def averages_weights_stochastically():
    model = net()
    average = torch.optim.swa_utils.AveragedModel(model)
    optimizer = sgd(model)
    scheduler = torch.optim.swa_utils.SWALR(optimizer, 0.05)
    yield {"model": model, "swa_model": average}, optimizer, scheduler
    for _ in range(4):
        train(model, optimizer, steps=1)
        average.update_parameters(model)
        scheduler.step()


@benign()
def trains_on_a_sparse_mixture():
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(4, 3) for _ in range(4))
            self.turn = 0

        def forward(self, x):
            self.turn += 1
            return self.experts[self.turn % 3](x)  # the last is never used

    model = Mixture()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    yield model, optimizer
    train(model, optimizer, steps=20)


@benign()
def checkpoints_activations():
    class Checkpointed(Net):
        def forward(self, x):
            return self.head(torch.utils.checkpoint.checkpoint(self.body, x, use_reentrant=False))

    model = Checkpointed()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)


@benign()
def moves_and_converts_during_training():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    model.to(torch.float64)
    train(model, optimizer)
    model.to("cpu")
    train(model, optimizer)


@benign()
def compiles_the_step_of_the_optimizer():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    step = torch.compile(optimizer.step, backend="eager")
    for _ in range(3):
        optimizer.zero_grad()
        backward(model)
        step()


@benign()
def copies_the_model_and_the_optimizer_while_watched():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    best = copy.deepcopy((model, optimizer))
    train(best[0], best[1])
    train(model, optimizer)


@benign()
def holds_empty_scalar_and_integer_parameters():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.empty = nn.Parameter(torch.zeros(0, 3))
            self.other_empty = nn.Parameter(torch.zeros(0))
            self.scalar = nn.Parameter(torch.ones(()))
            self.codes = nn.Parameter(torch.ones(4, dtype=torch.int8), requires_grad=False)

        def forward(self, x):
            return x * self.scalar + self.codes.float() + self.empty.sum()

    model = Odd()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(5, 4)).sum().backward()
        optimizer.step()


@benign()
def quantizes_a_frozen_base():
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            weight = quietly(lambda: torch.quantize_per_tensor(torch.ones(4, 4), 0.1, 0, torch.qint8))
            self.base = nn.Parameter(weight, requires_grad=False)
            self.adapter = nn.Linear(4, 4)

        def forward(self, x):
            return self.adapter(x) + x @ self.base.dequantize()

    model = Quantized()
    optimizer = adam(model.adapter)
    yield model, optimizer
    train(model.adapter, optimizer)


@benign()
def trains_parameters_without_a_module():
    variables = {"x": torch.ones(3, requires_grad=True), "c": torch.ones((), requires_grad=True)}
    optimizer = torch.optim.SGD(variables.values(), lr=0.1)
    yield variables, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        (variables["x"].exp() * variables["c"]).sum().backward()
        optimizer.step()


@benign()
def keeps_master_copies_in_float32():
    model = net().bfloat16()
    masters = [p.detach().clone().float().requires_grad_() for p in model.parameters()]
    optimizer = torch.optim.SGD(masters, lr=0.1)
    yield model, optimizer
    for _ in range(3):
        model.zero_grad()
        backward(model)
        for master, p in zip(masters, model.parameters(), strict=True):
            master.grad = p.grad.float()
        optimizer.step()
        with torch.no_grad():
            for master, p in zip(masters, model.parameters(), strict=True):
                p.copy_(master)


@benign()
def dry_runs_on_fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model = Net()
        optimizer = sgd(model)
        yield model, optimizer
        optimizer.zero_grad()
        model(torch.ones(5, 4)).sum().backward()
        optimizer.step()


@faulty(audit={"not-optimized": WARNING}, watch={"not-optimized": WARNING})
def probes_linearly_without_freezing():
    model = net()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    yield model, optimizer
    train(model, optimizer)


@faulty(audit={"not-in-model": INFO}, watch={"not-in-model": INFO})
def trains_a_loss_with_parameters_that_is_not_given():
    model = net()
    weight = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([*model.parameters(), weight], lr=0.01)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        (model(batch(model)) * weight).pow(2).sum().backward()
        optimizer.step()


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimisation as it is usually written: it wraps another optimizer, and swaps data."""

    def __init__(self, params, base, **options):
        super().__init__(params, options)
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def step(self, closure=None):
        trained = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p in trained:
            self.state[p]["old_p"] = p.data.clone()
            p.add_(0.05 * p.grad)
        with torch.enable_grad():
            self.zero_grad()
            closure()
        for p in trained:
            p.data = self.state[p]["old_p"]
        self.base_optimizer.step()


@benign()
def minimises_sharpness_by_a_wrapper():
    model = net()
    model.frozen = nn.ParameterList([nn.Parameter(torch.ones(2), requires_grad=False) for _ in range(9)])
    optimizer = SAM([p for p in model.parameters() if p.requires_grad], torch.optim.SGD, lr=0.1)
    yield model, optimizer
    for _ in range(20):
        optimizer.zero_grad()
        backward(model)
        optimizer.step(lambda: backward(model))


@faulty(audit={}, watch={"data-rebound": INFO})
def keeps_a_parameter_positive_through_data():
    model = net()
    optimizer = sgd(model)
    yield model, optimizer
    model.body.bias.data = model.body.bias.data.clamp(min=0)
    train(model, optimizer)


@faulty(audit={"nothing-shared": ERROR}, watch={"nothing-shared": ERROR, "no-gradients": WARNING})
def replaces_a_head_that_has_an_optimizer_of_its_own():
    model = net()
    both = [torch.optim.SGD(model.body.parameters(), lr=0.01), torch.optim.Adam(model.head.parameters())]
    yield model, both
    model.head = nn.Linear(8, 5)
    train(model, *both)


@faulty(audit={"nothing-shared": INFO, "not-optimized": INFO}, watch={"nothing-shared": INFO, "not-optimized": INFO})
def trains_a_soft_actor_critic_with_a_temperature():
    critic = Discriminator()
    log_alpha = torch.zeros(1, requires_grad=True)
    model = nn.ModuleDict({"actor": net(), "critic": critic, "critic_target": copy.deepcopy(critic)})
    parts = [adam(model["actor"]), adam(critic), torch.optim.Adam([log_alpha])]
    yield model, parts
    for _ in range(4):
        for optimizer in parts:
            optimizer.zero_grad()
        value = model["critic"](model["actor"](batch(model["actor"]))).mean()
        with torch.no_grad():
            target = model["critic_target"](model["actor"](batch(model["actor"]))).mean()
        ((value - target).pow(2) + value * log_alpha.exp()).sum().backward()
        for optimizer in parts:
            optimizer.step()


@benign()
def trains_a_buffer():
    model = net()
    model.register_buffer("temperature", torch.ones((), requires_grad=True))
    optimizer = torch.optim.SGD([*model.parameters(), model.temperature], lr=0.01)
    yield model, optimizer
    for _ in range(3):
        optimizer.zero_grad()
        (model(batch(model)) * model.temperature).pow(2).sum().backward()
        optimizer.step()


@benign()
def brings_convolutions_into_another_memory_format():
    model = nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 4, 2), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 3)
    )
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    model.to(memory_format=torch.channels_last)
    train(model, optimizer)


class LookaheadOptimizer(torch.optim.Optimizer):
    """A wrapper that is an optimizer itself, and moves parameters after the step of the one inside."""

    def __init__(self, base):
        self.base, self.steps = base, 0
        self.param_groups, self.defaults, self.state = base.param_groups, base.defaults, {}
        self.slow = [[p.detach().clone() for p in group["params"]] for group in base.param_groups]

    def zero_grad(self, set_to_none=True):
        self.base.zero_grad(set_to_none)

    def step(self, closure=None):
        loss = self.base.step(closure)
        self.steps += 1
        if self.steps % 2 == 0:
            with torch.no_grad():
                for group, slow in zip(self.base.param_groups, self.slow, strict=True):
                    for p, q in zip(group["params"], slow, strict=True):
                        p.copy_(q.lerp_(p, 0.5))
        return loss


@benign()
def looks_ahead_by_a_wrapper():
    model = net()
    optimizer = LookaheadOptimizer(adam(model))
    yield model, optimizer
    train(model, optimizer, steps=20)
