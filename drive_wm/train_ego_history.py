"""Training of the planner `ego_history`: from the logs of caches alone, their scenes and pictures are not read."""

from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from drive_wm.checkpoint import save_weights
from drive_wm.config import EgoConfig
from drive_wm.datasets.cache import Cache
from drive_wm.ego_past import EgoPast, ego_pasts_of
from drive_wm.errors import InputError
from drive_wm.fit import fit, one_cycle, origin_of
from drive_wm.losses import trajectory_away_m
from drive_wm.mirror import mirrored_future, mirrored_past
from drive_wm.planners.ego_history import EgoHistory
from drive_wm.rollouts import Trajectory
from drive_wm.samples import EpochBatches, as_read
from drive_wm.scene import Future
from drive_wm.structs import cat
from drive_wm.told import without_command, without_ego_status

COMMAND = "ground_truth_offset"  # what nuScenes planners are told

Batch = tuple[EgoPast, Future]


class EgoSamples(Dataset[Batch]):
    """Every keyframe of some drives, in memory."""

    def __init__(self, drives: Sequence[Batch]) -> None:
        self.past, self.future = cat([past for past, _ in drives]), cat([future for _, future in drives])

    def __len__(self) -> int:
        return len(self.past.command)

    def __getitem__(self, i: int) -> Batch:
        return self.__getitems__([i])

    def __getitems__(self, batch: Sequence[int]) -> Batch:
        index = torch.tensor(batch)
        return self.past[index], self.future[index]


class EgoTraining(lightning.LightningModule):
    """The network with its optimiser."""

    def __init__(self, config: EgoConfig, model: EgoHistory) -> None:
        super().__init__()
        self.train_config = config.train
        self.model = model

    def training_step(self, batch: Batch, index: int) -> Tensor:
        settings, (past, future) = self.train_config, batch
        # Seeded by the step, so that a resumed run draws what the uninterrupted one would have drawn.
        random = torch.Generator().manual_seed(settings.seed * 1_000_003 + self.global_step)
        hide_motion, hide_command = torch.rand(2, len(past.command), generator=random).to(self.device)
        past = without_ego_status(past, hide_motion < settings.hide_ego_status)
        past = without_command(past, hide_command < settings.hide_command)
        if float(torch.rand((), generator=random)) < settings.mirror:
            past, future = mirrored_past(past), mirrored_future(future)
        loss = path_loss_m(self.model(past), future)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(past.command))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        past, future = batch
        self.log("val/loss", path_loss_m(self.model(past), future), prog_bar=True, batch_size=len(past.command))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        settings, weights = self.train_config, self.parameters()
        optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
        return one_cycle(optimizer, self.trainer, settings)


def path_loss_m(trajectory: Trajectory, future: Future) -> Tensor:
    """`trajectory_away_m`, its mean over all steps that exist."""
    away_m = trajectory_away_m(trajectory, future.ego_pose)
    return (away_m * future.ego_valid).sum() / future.ego_valid.sum()


def train_ego_history(caches: Sequence[Cache], config: EgoConfig, out: Path, last: Path | None, command: str) -> Path:
    """Train on the drives of caches that have an ego and write out/weights.safetensors; returns its path.

    `last` is the checkpoint of a run that goes on.
    """
    settings, sizes = config.train, config.model
    lightning.seed_everything(settings.seed, verbose=False)
    model = EgoHistory(sizes)
    logs = (cache.log(i) for cache in caches for i, shard in enumerate(cache.manifest.shards) if shard.ego_views)
    drives = [ego_pasts_of(log, sizes.history, sizes.steps, COMMAND) for log in logs]
    every = settings.hold_out
    held_out = [every > 0 and i % every == every - 1 for i in range(len(drives))]
    learnt, kept = (
        [drive for drive, is_held in zip(drives, held_out, strict=True) if is_held == which] for which in (False, True)
    )
    if not learnt:
        raise InputError("No drive with an ego to train on in these caches. Prepare more logs or leave out fewer.")
    data, validation = EgoSamples(learnt), EgoSamples(kept) if kept else None
    fit(
        EgoTraining(config, model.train()),
        _loader(data, settings.batch, settings.seed),
        _loader(validation, settings.batch, settings.seed) if validation else None,
        settings,
        out,
        last,
    )
    path = out / "weights.safetensors"
    save_weights(model, origin_of(caches, command), path)
    return path


def _loader(data: EgoSamples, batch: int, seed: int) -> DataLoader[Batch]:
    return DataLoader(data, batch_sampler=EpochBatches([0] * len(data), batch, seed), collate_fn=as_read)
