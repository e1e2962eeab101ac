"""Sharded, replicated and tensor-parallel models, on CPU with gloo and two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent

STRANGER = {"audit": [["nothing-shared", "error"]], "watch": [["no-gradients", "warning"], ["nothing-shared", "error"]]}
NOTHING = {"audit": [], "watch": []}
UNREDUCED = {"audit": [["not-in-buckets", "error"]], "watch": [["not-in-buckets", "error"]]}
EXPECTED = {
    "row_22_shards_after_the_optimizer": STRANGER,
    "row_22_shards_after_the_optimizer_while_watched": STRANGER | {"audit": []},
    "row_22_shards_before_the_optimizer": NOTHING,
    "keeps_parameters_unsharded_between_steps": NOTHING,
    "row_23_wraps_in_fsdp1_after_the_optimizer": STRANGER,
    "row_23_wraps_in_fsdp1_before_the_optimizer": NOTHING,
    "row_23_wraps_in_fsdp1_with_original_parameters": NOTHING,
    "row_24_parallelizes_tensors_after_the_optimizer": STRANGER,
    "row_24_parallelizes_tensors_before_the_optimizer": NOTHING,
    "row_25_wraps_in_ddp_after_the_optimizer": NOTHING,
    "row_26_unfreezes_after_ddp": UNREDUCED,
    "row_26_replaces_the_head_after_ddp": UNREDUCED,
    "row_26_freezes_before_ddp": NOTHING,
    "row_27_calls_the_module_inside_ddp": NOTHING,
    "shards_the_state_of_the_optimizer": NOTHING,
    "row_100_saves_and_loads_by_name": NOTHING,
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gloo")
    out = folder / "findings.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "distributed_scenes.py")]
    processes = [
        subprocess.Popen(
            [*command, rank, str(folder / "join"), str(out)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    ends = [process.communicate(timeout=900)[1] for process in processes]
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    assert not any(process.returncode for process in processes), f"after {list(results)}\n{ends[0]}\n{ends[1]}"
    return results


@pytest.mark.parametrize("name", EXPECTED)
def test_scene(played, name):
    found = played[name]
    assert {key: found[key] for key in ("audit", "watch")} == EXPECTED[name], "\n".join(found["text"])
