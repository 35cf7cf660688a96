"""What every training run has in common: a folder that is not overwritten, Lightning's loop, a schedule, an origin."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, distributed
from torch.utils.data import DataLoader

from drive_wm.checkpoint import Origin
from drive_wm.config import FitConfig
from drive_wm.datasets.cache import Cache
from drive_wm.errors import InputError

LICENCES = {"nuscenes": "CC BY-NC-SA 4.0", "nuscenes_pred": "CC BY-NC-SA 4.0"}  # everything else: Apache-2.0


def last_checkpoint(out: Path, resume: bool) -> Path | None:
    """Where a run in this folder goes on, None for a new one; InputError where one is there and must not be touched."""
    last = out / "checkpoints" / "last.ckpt"
    if last.exists() and not resume:
        raise InputError(f"{out} already holds a run. Add --resume to go on with it, or pass another --out.")
    return last if last.exists() else None


class OwnSteps(Callback):
    """Each process steps with its own gradients, and every few steps all take the mean of their weights: none waits long.

    Local SGD (Stich 2019, arXiv:1805.09767). As an epoch ends, before it is saved, they also take the mean of what their
    optimisers remember, so that a resumed run goes on as the uninterrupted one would have. A process alone agrees with itself.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.world_size > 1:
            wrapped: Any = trainer.strategy.model
            wrapped.require_backward_grad_sync = False

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % self.steps == 0:
            _agree([weight.data for weight in pl_module.parameters()])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        _agree([weight.data for weight in pl_module.parameters()])
        states = trainer.optimizers[0].state.values()
        # Counts of steps are the same everywhere, and may lie on another device.
        _agree([x for state in states for x in state.values() if isinstance(x, Tensor) and x.is_floating_point() and x.ndim])


def _agree(tensors: Sequence[Tensor]) -> None:
    """Fill these with their means over all processes, in place and as they lie in memory."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    together = torch.cat([x.flatten() for x in tensors]) / distributed.get_world_size()
    distributed.all_reduce(together)
    for x, mean in zip(tensors, together.split([x.numel() for x in tensors]), strict=True):
        x.copy_(mean.view_as(x))


def fit(
    learner: lightning.LightningModule,
    data: DataLoader[Any],
    held_out: DataLoader[Any] | None,
    settings: FitConfig,
    out: Path,
    last: Path | None,
) -> None:
    """Train to the last epoch, from the checkpoint `last` if given; raises KeyboardInterrupt where the user stopped it."""
    trainer = lightning.Trainer(
        default_root_dir=out,
        max_epochs=settings.epochs,
        devices=settings.processes or "auto",
        strategy="ddp" if settings.processes > 1 else "auto",
        use_distributed_sampler=False,
        gradient_clip_val=settings.gradient_clip,
        logger=TensorBoardLogger(out, name="log", version=""),
        callbacks=[
            ModelCheckpoint(out / "checkpoints", "last", enable_version_counter=False, save_on_train_epoch_end=True),
            TQDMProgressBar(),
            *([OwnSteps(settings.own_steps)] if settings.own_steps > 1 else []),
            *([EMAWeightAveraging(decay=settings.ema)] if settings.ema else []),
        ],
        log_every_n_steps=10,
        enable_model_summary=False,
    )
    trainer.fit(learner, data, held_out, ckpt_path=str(last) if last else None, weights_only=True)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not trainer.is_global_zero:  # the first of the processes writes and reports
        raise SystemExit


def one_cycle(optimizer: torch.optim.Optimizer, trainer: lightning.Trainer, settings: FitConfig) -> OptimizerLRSchedulerConfig:
    """The learning rate rises and falls once over the whole run, in straight lines, and AdamW's momentum the other way."""
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        settings.learning_rate,
        total_steps=max(int(trainer.estimated_stepping_batches), 2),
        pct_start=settings.rise,
        anneal_strategy="linear",
        cycle_momentum="betas" in optimizer.defaults,
    )
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def origin_of(caches: Sequence[Cache], command: str, before: Origin | None = None) -> Origin:
    """Where weights trained on these caches come from, and, if they began as others, from what those come."""
    settings = [cache.manifest.settings for cache in caches]
    trained_on = tuple(
        f"{s.source} {s.version} {s.split} ({len(cache)} logs)" for s, cache in zip(settings, caches, strict=True)
    )
    licences = [LICENCES[s.source] for s in settings if s.source in LICENCES]
    if before:
        trained_on = before.trained_on + trained_on
        licences += [before.licence] if before.licence != "Apache-2.0" else []
    return Origin(trained_on, command, licences[0] if licences else "Apache-2.0")
