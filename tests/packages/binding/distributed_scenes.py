"""Scenes that need a process group, played by two processes on CPU with gloo.

    python distributed_scenes.py RANK FILE OUT

joins over FILE and writes the findings of rank 0 to OUT, as JSON.
"""

import contextlib
import copy
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

import verify
from tests.binding.scenes import adam, net, sgd, train

SCENES = {}


def scene(play):
    SCENES[play.__name__] = play
    return play


@scene
def row_22_shards_after_the_optimizer():
    model = net()
    optimizer = adam(model)
    fully_shard(model)
    yield model, optimizer
    train(model, optimizer)


@scene
def row_22_shards_after_the_optimizer_while_watched():
    model = net()
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    fully_shard(model)
    train(model, optimizer)


@scene
def row_22_shards_before_the_optimizer():
    model = net()
    fully_shard(model.body)
    fully_shard(model)
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer, steps=20)
    optimizer.load_state_dict(optimizer.state_dict())
    train(model, optimizer)


@scene
def keeps_parameters_unsharded_between_steps():
    model = net()
    fully_shard(model)
    model.set_reshard_after_backward(False)
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer, steps=20)


@scene
def row_23_wraps_in_fsdp1_after_the_optimizer():
    model = net()
    optimizer = adam(model)
    model = FullyShardedDataParallel(model, use_orig_params=False, device_id=torch.device("cpu"))
    yield model, optimizer
    with contextlib.suppress(RuntimeError):
        train(model, optimizer)


@scene
def row_23_wraps_in_fsdp1_before_the_optimizer():
    model = FullyShardedDataParallel(net(), use_orig_params=False, device_id=torch.device("cpu"))
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer, steps=20)


@scene
def row_23_wraps_in_fsdp1_with_original_parameters():
    model = net()
    optimizer = sgd(model)
    model = FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    yield model, optimizer
    train(model, optimizer, steps=20)


def plan():
    return {"body": ColwiseParallel(), "head": RowwiseParallel()}


@scene
def row_24_parallelizes_tensors_after_the_optimizer():
    model = net()
    optimizer = adam(model)
    parallelize_module(model, init_device_mesh("cpu", (2,)), plan())
    yield model, optimizer
    train(model, optimizer)


@scene
def row_24_parallelizes_tensors_before_the_optimizer():
    model = net()
    parallelize_module(model, init_device_mesh("cpu", (2,)), plan())
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer, steps=20)


@scene
def row_25_wraps_in_ddp_after_the_optimizer():
    model = net()
    optimizer = torch.optim.Adam(model.named_parameters())
    ddp = DistributedDataParallel(model, gradient_as_bucket_view=True)
    yield ddp, optimizer
    train(ddp, optimizer, steps=20)


@scene
def row_26_unfreezes_after_ddp():
    model = net()
    model.body.requires_grad_(False)
    ddp = DistributedDataParallel(model)
    optimizer = adam(model)
    yield ddp, optimizer
    model.body.requires_grad_(True)
    train(ddp, optimizer)


@scene
def row_26_replaces_the_head_after_ddp():
    model = net()
    ddp = DistributedDataParallel(model, find_unused_parameters=True)
    model.head = nn.Linear(8, 5)
    optimizer = adam(model)
    yield ddp, optimizer
    train(ddp, optimizer)


@scene
def row_26_freezes_before_ddp():
    model = net()
    model.body.requires_grad_(False)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    yield ddp, optimizer
    train(ddp, optimizer)


@scene
def row_27_calls_the_module_inside_ddp():
    """Cannot be seen without comparing ranks, which costs a collective."""
    model = net()
    ddp = DistributedDataParallel(model)
    optimizer = adam(model)
    yield ddp, optimizer
    train(ddp.module, optimizer)


@scene
def shards_the_state_of_the_optimizer():
    model = net()
    ddp = DistributedDataParallel(model)
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=torch.optim.Adam, lr=0.01)
    yield ddp, optimizer
    train(ddp, optimizer, steps=20)


@scene
def row_100_saves_and_loads_by_name():
    model = net()
    fully_shard(model)
    optimizer = adam(model)
    yield model, optimizer
    train(model, optimizer)
    saved = copy.deepcopy(get_optimizer_state_dict(model, optimizer))
    set_optimizer_state_dict(model, optimizer, saved)
    train(model, optimizer)


def serious(findings):
    return sorted({(f.code, f.severity) for f in findings})


def played(play, rank):
    """What both functions say, or the exception of the scene."""
    playing = play()
    model, optimizer = next(playing)
    with verify.watch(model, optimizer, on_finding="collect") as watching:
        for _ in playing:
            pass
    if play.__name__.endswith("while_watched"):
        return {"audit": [], "watch": serious(watching.findings), "text": list(map(str, watching.findings))}
    *_, (model, optimizer) = play()
    found = verify.audit(model, optimizer)
    return {
        "audit": serious(found),
        "watch": serious(watching.findings),
        "text": [*map(str, found), "---", *map(str, watching.findings)],
    }


def main(rank, file, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=int(rank), world_size=2)
    results = {}
    for name, play in SCENES.items():
        results[name] = played(play, rank)
        if rank == "0":
            Path(out).write_text(json.dumps(results), encoding="utf-8")
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
