"""The callback for transformers, in a real Trainer; and what transformers and peft do to parameters."""

import pytest
import torch

import verify

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


def model(tied=True):
    config = transformers.GPT2Config(
        n_layer=1,
        n_head=2,
        n_embd=8,
        vocab_size=32,
        n_positions=16,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
    )
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(config)


def train(model, optimizer, steps=3):
    tokens = torch.arange(8).reshape(2, 4)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()


def codes(findings):
    return {(f.code, f.severity) for f in findings}


class Tokens(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        tokens = (torch.arange(4) + index) % 32
        return {"input_ids": tokens, "labels": tokens}


class Replaces(transformers.TrainerCallback):
    def on_step_begin(self, args, state, control, model, **_):
        if state.global_step == 2:
            model.lm_head = torch.nn.Linear(8, 32, bias=False)  # the line to name


def fit(tmp_path, subject, *callbacks, **options):
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=2, use_cpu=True, report_to=[], **options
    )
    trainer = transformers.Trainer(model=subject, args=arguments, train_dataset=Tokens(), callbacks=list(callbacks))
    trainer.train()


@pytest.fixture
def callback():
    from verify.binding.transformers_callback import BindingCallback

    return BindingCallback(on_finding="collect")


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2, "bf16": True, "warmup_steps": 2}])
def test_right(callback, options, tmp_path):
    pytest.importorskip("accelerate")
    fit(tmp_path, model(), callback, **options)
    assert callback.watching.findings == []


def test_a_head_replaced_in_training(callback, tmp_path):
    pytest.importorskip("accelerate")
    fit(tmp_path, model(), callback, Replaces())
    assert ("not-optimized", "warning") in codes(callback.watching.findings)
    assert any("# the line to name" in f.message for f in callback.watching.findings)


def test_row_28_resizes_tied_embeddings_without_state():
    subject = model()
    optimizer = torch.optim.SGD(subject.parameters(), lr=0.01)
    subject.resize_token_embeddings(40)
    assert verify.audit(subject, optimizer) == []
    with verify.watch(subject, optimizer, on_finding="collect") as watching:
        train(subject, optimizer)
    assert watching.findings == []


def test_row_28_resizes_tied_embeddings_with_state():
    subject = model()
    optimizer = torch.optim.Adam(subject.parameters())
    train(subject, optimizer)
    subject.resize_token_embeddings(40)
    assert codes(verify.audit(subject, optimizer)) == {("state-mismatch", "error")}


def test_row_28_resizes_an_untied_head():
    subject = model(tied=False)
    optimizer = torch.optim.SGD(subject.parameters(), lr=0.01)
    with verify.watch(subject, optimizer, on_finding="collect") as watching:
        train(subject, optimizer)
        subject.resize_token_embeddings(40)
        train(subject, optimizer)
    assert ("rebound", "error") in codes(verify.audit(subject, optimizer))
    assert [f.parameter for f in watching.findings if f.code == "rebound"] == ["lm_head.weight"]


def test_row_35_loads_the_model_again(tmp_path):
    subject = model()
    optimizer = torch.optim.SGD(subject.parameters(), lr=0.01)
    subject.save_pretrained(tmp_path)
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path)
    assert codes(verify.audit(again, optimizer)) == {("nothing-shared", "error")}


def adapted(subject):
    peft = pytest.importorskip("peft")
    return peft.get_peft_model(subject, peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))


def test_row_29_adds_adapters_after_the_optimizer():
    subject = model()
    optimizer = torch.optim.AdamW(subject.parameters())
    with verify.watch(subject, optimizer, on_finding="collect") as watching:
        wrapped = adapted(subject)
        train(wrapped, optimizer)
    expected = {("nothing-trainable", "error"), ("not-optimized", "warning")}
    assert codes(verify.audit(wrapped, optimizer)) == expected
    assert codes(watching.findings) == expected | {("no-gradients", "warning")}


def test_row_29_adds_adapters_before_the_optimizer():
    wrapped = adapted(model())
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad])
    with verify.watch(wrapped, optimizer, on_finding="collect") as watching:
        train(wrapped, optimizer, steps=20)
    assert verify.audit(wrapped, optimizer) == watching.findings == []


def test_row_30_adds_an_adapter_after_the_optimizer():
    import peft

    wrapped = adapted(model())
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad])
    wrapped.add_adapter("second", peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True))
    wrapped.set_adapter("second")
    expected = {("nothing-trainable", "error"), ("not-optimized", "warning")}
    assert codes(verify.audit(wrapped, optimizer)) == expected


def test_row_31_keeps_the_optimizer_after_merging():
    wrapped = adapted(model())
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad])
    assert {code for code, _ in codes(verify.audit(wrapped.merge_and_unload(), optimizer))} == {"nothing-shared"}


def test_row_32_merges_and_unmerges_in_bfloat16():
    wrapped = adapted(model()).bfloat16()
    for name, p in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(p)
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad])
    with verify.watch(wrapped, optimizer, on_finding="collect") as watching:
        for _ in range(6):
            train(wrapped, optimizer, steps=1)
            for _ in range(50):
                wrapped.merge_adapter()
                wrapped.unmerge_adapter()
    assert codes(watching.findings) <= {("moved-between", "info")}
