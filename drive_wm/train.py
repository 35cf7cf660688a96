"""Training from caches alone, with Lightning: resumable, one `losses` for training and validation."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pytorch_optimizer import Muon
from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5
from torch import Tensor
from torch.utils.data import DataLoader

from drive_wm.checkpoint import load_weights, save_weights
from drive_wm.config import Config, EgoConfig, TrainConfig, preset
from drive_wm.datasets.cache import Cache, open_caches
from drive_wm.errors import InputError
from drive_wm.fit import fit, last_checkpoint, one_cycle, origin_of
from drive_wm.kinematics import follow, roll
from drive_wm.losses import Losses, rollout_losses
from drive_wm.mirror import mirrored, mirrored_future
from drive_wm.model.world_model import WorldModel
from drive_wm.rollouts import Plans
from drive_wm.samples import Batch, EpochBatches, Samples, as_read, trimmed
from drive_wm.scene import COMMAND_ORIGINS, Future, Scene, SceneConfig, ego_speed_mps
from drive_wm.scene_at import COMMAND_OFFSET_M, COMMAND_STEPS
from drive_wm.told import without_agents, without_ego_status, without_lanes, without_raster
from drive_wm.train_ego_history import train_ego_history


def logged_plan(scene: Scene, future: Future) -> Plans:
    """The path that the ego really took, as the one candidate (K = 1); after its log ends the ego stays."""
    order = torch.arange(1, future.ego_valid.shape[1] + 1, device=future.ego_valid.device)
    last = torch.cummax(torch.where(future.ego_valid, order, 0), dim=1).values
    path = torch.cat([torch.zeros_like(future.ego_pose[:, :1]), future.ego_pose], dim=1)
    targets_m = torch.gather(path, 1, last[..., None].expand(-1, -1, 3))[:, None, :, :2]
    pose, speed_mps = path.new_zeros(len(last), 1, 3), ego_speed_mps(scene)[:, None]
    action = follow(pose, speed_mps, targets_m)
    return Plans(action, *roll(pose, speed_mps, action), valid=torch.ones_like(pose[..., 0], dtype=torch.bool))


def without_map(scene: Scene, share: float, random: torch.Generator) -> Scene:
    """Drop the lanes of some scenes and the raster of others, as some sources do."""
    lanes, raster = (torch.rand(len(has), generator=random) < share for has in (scene.has_lanes, scene.has_raster))
    return without_raster(without_lanes(scene, lanes), raster)


def without_some(scene: Scene, share: float, random: torch.Generator) -> Scene:
    """Hide some of the others where the scene is seen from a target: of each scene another share of them, `share` at most.

    One of them is the ego. Where it drives tells much of a target beside it, but not every source says where it is.
    """
    count, agents = scene.tracks.kind.shape
    hidden = torch.rand(count, agents, generator=random) < share * torch.rand(count, 1, generator=random)
    hidden[:, 0] = False
    return without_agents(scene, hidden & ~scene.has_ego[:, None])


def with_commands(scene: Scene, future: Future, share: float, random: torch.Generator) -> Scene:
    """Tell the ego of some scenes, where there is one and it is seen for 3 s, on which side its path ends."""
    tell = torch.rand(len(scene.has_ego), generator=random) < share
    tell &= scene.has_ego & future.tracks.valid[:, 0, COMMAND_STEPS - 1]
    left_m = future.tracks.position_m[:, 0, COMMAND_STEPS - 1, 1] - scene.tracks.position_m[:, 0, -1, 1]
    command = 1 - (left_m >= COMMAND_OFFSET_M).long() + (left_m <= -COMMAND_OFFSET_M).long()
    origin = torch.full_like(command, COMMAND_ORIGINS.index("ground_truth_offset"))
    return replace(
        scene,
        command=torch.where(tell, command, scene.command),
        command_origin=torch.where(tell, origin, scene.command_origin),
    )


def multiplies_bf16(device: torch.device) -> bool:
    """Whether this device has instructions for bfloat16; without them convolutions on a processor take eight times as long."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return any(can.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class Training(lightning.LightningModule):
    """The world model with its optimiser."""

    def __init__(self, config: Config, model: WorldModel) -> None:
        super().__init__()
        self.train_config = config.train
        self.model = model
        # The gradients of its convolutions then take a third of the time.
        self.model.bev.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def setup(self, stage: str) -> None:
        """What waits until it is known where training runs, and comes before the first batch."""
        device = self.trainer.strategy.root_device
        self.model.bev.bf16 = self.train_config.bf16_maps and multiplies_bf16(device)
        if self.train_config.compile:
            self.model.compile()

    def losses(self, scene: Scene, future: Future, free_ego: bool) -> Losses:
        """Of a batch where the model is; `free_ego`: the ego is imagined too instead of following its path."""
        shown = bool(future.tracks.valid[:, 0].any())
        if (free_ego and shown) or not bool(scene.has_ego.all()):  # what agent 0 does is asked, and modes are what it may do
            counts = self._counts(scene, 1.0, self.train_config.beside)
            return rollout_losses(self.model.imagine(scene), future, counts, self._counts(scene, 1.0, 0.0))
        rollouts = self.model.imagine(scene, logged_plan(scene, future))
        return rollout_losses(rollouts, future, self._counts(scene, 0.0, 1.0))

    def _counts(self, scene: Scene, first: float, others: float) -> Tensor:
        """How much agent 0 and each other agent that is there now count (B, A)."""
        share = torch.full_like(scene.tracks.size_m[..., 0], others)
        share[:, 0] = first
        return share * scene.tracks.valid[..., -1]

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch | tuple[Scene, Future, bool]:
        """What differs from epoch to epoch is drawn on the processor; less then goes to where training runs."""
        if not self.trainer.training:
            return batch
        # Seeded by the step, so that a resumed run draws what the uninterrupted one would have drawn.
        step = self.global_step * self.trainer.world_size + self.trainer.global_rank
        return self.varied(*batch, torch.Generator().manual_seed(self.train_config.seed * 1_000_003 + step))

    def varied(self, scene: Scene, future: Future, random: torch.Generator) -> tuple[Scene, Future, bool]:
        """A batch as it is learnt from this time, and whether the ego is imagined too."""
        scene = without_map(scene, self.train_config.map_dropout, random)
        scene = with_commands(scene, future, self.train_config.commands, random)
        free_ego, mirror = (float(x) for x in torch.rand(2, generator=random))
        hidden = torch.rand(len(scene.has_ego), generator=random) < self.train_config.hide_ego_status
        if free_ego < self.train_config.free_ego:  # a path to follow starts at a speed that is known
            scene = without_ego_status(scene, hidden & scene.has_ego)
        if mirror < self.train_config.mirror:
            scene, future = mirrored(scene), mirrored_future(future)
        scene, future = trimmed(scene, future, self.train_config.agents)
        # Last: it leaves places empty between others, which trimming would cut.
        scene = without_some(scene, self.train_config.hide_others, random)
        return scene, future, free_ego < self.train_config.free_ego

    def training_step(self, batch: tuple[Scene, Future, bool], index: int) -> Tensor:
        losses = self.losses(*batch)
        self._need_finite(losses.total, index)
        self._log_losses("train", losses)
        return losses.total.mean()

    def _need_finite(self, loss: Tensor, index: int) -> None:
        """Raise InputError that names the scenes whose loss is not a number."""
        if bool(loss.isfinite().all()):
            return
        loader: Any = self.trainer.train_dataloader
        batch = next(islice(loader.batch_sampler, index, None))
        wrong = [loader.dataset.name(i) for i, value in zip(batch, loss.tolist(), strict=True) if not math.isfinite(value)]
        if len(wrong) == len(batch):
            advice = "All scenes of the batch: the weights are no longer finite; lower train.learning_rate."
        else:
            advice = "Look at these scenes, and prepare them again or leave their drives out with --leave-out."
        raise InputError(f"The loss is not finite at step {self.global_step} for {', '.join(wrong)}. {advice}")

    def validation_step(self, batch: Batch, index: int) -> None:
        self._log_losses("val", self.losses(*batch, free_ego=True))

    def _log_losses(self, stage: str, losses: Losses) -> None:
        names = ("joint", "alone", "name", "mixture", "displacement_m", "expected_m")
        values = {name: getattr(losses, name).mean() for name in names}
        self.log_dict({f"{stage}/{name}": value for name, value in values.items()}, batch_size=len(losses.joint))
        self.log(f"{stage}/loss", losses.total.mean(), prog_bar=True, batch_size=len(losses.joint))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        return one_cycle(optimizer_of(self.model, self.train_config), self.trainer, self.train_config)


class Float32Muon(Muon):
    """Muon in float32: as quick as in bfloat16 for matrices this small, ten times as quick on processors without it."""

    @staticmethod
    def _orthogonalize(group: dict[str, Any], updates: list[Tensor]) -> list[Tensor]:
        settings = {"num_steps": group["ns_steps"], "weights": group["ns_coeffs"], "dtype": torch.float32}
        return [zero_power_via_newton_schulz_5(x.flatten(1), **settings) for x in updates]


def optimizer_of(model: WorldModel, settings: TrainConfig) -> Muon:
    """Muon for weights that turn features into features, with steps as large as AdamW's; AdamW for all else.

    Muon steps equally far in all directions of a matrix (Jordan et al. 2024); how far: Liu et al. 2025, arXiv:2502.16982.
    """
    ends = (model.modes, model.dynamics.act.weight, model.scene.agents[0].weight)  # they read numbers, or say some
    others = {id(weight) for weight in ends}
    hidden = [weight for weight in model.parameters() if weight.ndim > 1 and id(weight) not in others]
    rest = [weight for weight in model.parameters() if weight.ndim == 1 or id(weight) in others]
    shared = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    return Float32Muon(
        [
            {"params": hidden, "use_muon": True, "use_adjusted_lr": True, **shared},
            {"params": rest, "use_muon": False, "betas": (0.9, 0.999), "eps": 1e-8, **shared},
        ]
    )


def train(
    caches: Sequence[Path],
    preset_name: str,
    out: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    init: str | None = None,
    leave_out: Sequence[str] = (),
    command: str = "",
    learner: Callable[[Config, WorldModel], Training] = Training,
) -> Path:
    """Train the model of a preset on caches and write out/weights.safetensors; returns its path.

    `init` starts from existing weights, `leave_out` names logs that are never seen. A run that was stopped goes on from
    its last finished epoch with `resume`. `learner` makes what learns, where it is not `Training` itself.
    """
    config = preset(preset_name, overrides)
    last = last_checkpoint(out, resume)
    if isinstance(config, EgoConfig):
        if init:
            raise InputError("The preset ego_history trains from its start. Leave out --init.")
        return train_ego_history(open_caches(caches, leave_out=leave_out), config, out, last, command)
    opened = _opened(caches, leave_out, config.model.scene)
    settings = config.train
    lightning.seed_everything(settings.seed, verbose=False)
    model = load_weights(init, expected=config.model)[0] if init else WorldModel(config.model)
    data, held_out = (
        Samples(opened, held_out, settings.stride, settings.views, settings.hold_out, settings.ego_stride)
        for held_out in (False, True)
    )
    if not len(data):
        raise InputError(f"No scene to train on in {', '.join(map(str, caches))}. Prepare more logs or leave out fewer.")
    workers = settings.workers
    loader = partial(DataLoader[Batch], collate_fn=as_read, num_workers=workers, persistent_workers=workers > 0)
    fit(
        learner(config, model.train()),
        loader(data, batch_sampler=EpochBatches(data.kinds, settings.batch, settings.seed)),
        loader(held_out, batch_sampler=EpochBatches(held_out.kinds, settings.batch, settings.seed)) if len(held_out) else None,
        settings,
        out,
        last,
    )
    path = out / "weights.safetensors"
    save_weights(model, origin_of(opened, command, load_weights(init)[1] if init else None), path)
    return path


def _opened(paths: Sequence[Path], leave_out: Sequence[str], sizes: SceneConfig) -> list[Cache]:
    caches = open_caches(paths, leave_out=leave_out)
    for cache in caches:
        if cache.manifest.config != sizes:
            raise InputError(
                f"{cache.path} was prepared with {cache.manifest.config}, the model takes {sizes}. "
                "Prepare again, or override model.scene.*."
            )
    return caches
