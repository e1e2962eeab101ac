"""The Lightning callback, in a real Trainer."""

import pytest
import torch
from torch import nn

lightning = pytest.importorskip("lightning")
pytestmark = pytest.mark.filterwarnings("ignore")  # of workers and loggers


class Module(lightning.LightningModule):
    def __init__(self, replace=False):
        super().__init__()
        self.body, self.head, self.replace = nn.Linear(4, 8), nn.Linear(8, 3), replace

    def training_step(self, batch, index):
        if self.replace and index == 2:
            self.head = nn.Linear(8, 5)  # the line to name
        return self.head(self.body(batch[0])).pow(2).mean()

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=100)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Alternating(Module):
    """Two optimizers, in turns."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, index):
        for optimizer in self.optimizers():
            self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            self.manual_backward(super().training_step(batch, index))
            optimizer.step()
            self.untoggle_optimizer(optimizer)

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.body, self.head)]


def fit(module, callback, tmp_path, **options):
    data = torch.utils.data.TensorDataset(torch.ones(40, 4))
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[callback],
        **options,
    )
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=5))
    return trainer


@pytest.fixture
def callback():
    from verify.binding.lightning_callback import BindingCallback

    return BindingCallback(on_finding="collect")


@pytest.mark.parametrize("make", [Module, Alternating])
def test_right(callback, make, tmp_path):
    fit(make(), callback, tmp_path)
    assert callback.watching.findings == []


@pytest.mark.parametrize(
    "options", [{"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2, "gradient_clip_val": 1.0}]
)
def test_right_with_options(callback, options, tmp_path):
    fit(Module(), callback, tmp_path, **options)
    assert callback.watching.findings == []


def test_a_head_replaced_in_training(callback, tmp_path):
    fit(Module(replace=True), callback, tmp_path)
    found = {(f.code, f.parameter) for f in callback.watching.findings if f.severity == "error"}
    assert ("rebound", "head.weight") in found
    assert "# the line to name" in callback.watching.findings[0].message


def test_resumes_from_a_checkpoint(callback, tmp_path):
    from verify.binding.lightning_callback import BindingCallback

    trainer = fit(Module(), callback, tmp_path)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = BindingCallback(on_finding="collect")
    data = torch.utils.data.TensorDataset(torch.ones(40, 4))
    resumed = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
        callbacks=[again],
    )
    resumed.fit(Module(), torch.utils.data.DataLoader(data, batch_size=5), ckpt_path=tmp_path / "last.ckpt")
    assert again.watching.findings == []
