"""A drive worked out by hand, for the protocols' sample builders and evaluations; and what stands in a page."""

from dataclasses import dataclass, field, fields
from html.parser import HTMLParser

import numpy as np
import pytest
import shapely
import torch

from drive_wm.log import CYCLIST, PEDESTRIAN, STATIC, VEHICLE, Log, empty_map
from drive_wm.scene import RASTER_LAYERS, RASTER_SIZE, Elements, Lanes, Scene, Tracks

KEYFRAMES = 10
AGENTS = (  # category, kind, metres ahead of and left of the ego at t0; all stand still, heading as the ego does
    ("vehicle.car", VEHICLE, 20.0, 3.0),
    ("human.pedestrian.adult", PEDESTRIAN, 10.0, -5.0),
    ("movable_object.barrier", STATIC, 8.0, 6.0),
    ("static_object.bicycle_rack", STATIC, 8.0, 9.0),
    ("vehicle.emergency.police", VEHICLE, 15.0, 6.0),
    ("animal", PEDESTRIAN, 12.0, 6.0),
    ("vehicle.car", VEHICLE, 25.0, 6.0),  # 6: appears at keyframe 3
    ("vehicle.car", VEHICLE, 5.0, -6.0),  # 7: never has a point
    ("vehicle.car", VEHICLE, 40.0, 6.0),  # 8: far
    ("vehicle.bicycle", CYCLIST, 5.0, 10.0),  # 9: has no point at t0
    ("Car", VEHICLE, 2.0, 10.0),  # 10: another source's name, points unknown
)


@pytest.fixture
def drive() -> Log:
    """The ego drives 2 m a step along global +y from (100, 50); LIDAR_TOP sits 1 m ahead; agent i is 1 + i / 10 m long."""
    a, s = len(AGENTS), KEYFRAMES
    ahead, left = np.array([agent[2:] for agent in AGENTS]).T
    centre = np.stack([100.0 - left, 50.0 + ahead], -1)
    valid = np.ones((a, s), bool)
    valid[6, :3] = False
    points = np.full((a, s), 5)
    points[7], points[9, 0], points[10] = 0, 0, -1
    ego = np.stack([np.full(s, 100.0), 50.0 + 2.0 * np.arange(s), np.full(s, np.pi / 2)], -1)
    size = np.stack([1 + np.arange(a) / 10, np.full(a, 0.5)], -1)
    log = Log(
        name="drive", source="test", location="", description="", keyframes=tuple(map(str, range(s))),
        agents=tuple(f"agent {i}" for i in range(a)), categories=tuple(agent[0] for agent in AGENTS), time_s=np.arange(s) / 2,
        ego_pose=ego, ego_size_m=np.array([4.084, 1.85]), ego_centre_m=1.4, ego_from_lidar=np.array([1.0, 0.0, -np.pi / 2]),
        position_m=centre[:, None] * valid[..., None], yaw_rad=np.pi / 2 * valid, size_m=size[:, None] * valid[..., None],
        kind=np.array([agent[1] for agent in AGENTS]), points=points, visibility=np.zeros((a, s), np.int64), valid=valid,
        map=empty_map(), route=shapely.LineString(), targets=np.zeros((0, 2), np.int64),
        has_ego=True, has_all_traffic=True,
    )  # fmt: skip
    log.check()
    return log


@pytest.fixture
def scene() -> Scene:
    """As many scenes as the drive has keyframes, empty but for the shapes; 5 past steps."""
    b, a, h, n, p = KEYFRAMES, 2, 5, 1, 2
    f, i, yes = (
        torch.zeros,
        lambda *shape: torch.zeros(*shape, dtype=torch.long),
        lambda *shape: torch.ones(shape, dtype=torch.bool),
    )
    tracks = Tracks(f(b, a, h, 2), f(b, a, h), f(b, a, h, 2), f(b, a, 2) + 1, i(b, a), yes(b, a, h))
    lanes = Lanes(f(b, n, p, 2), f(b, n, p), i(b, n, 3), i(b, n), i(b, n), yes(b, n), yes(b, n))
    elements = Elements(f(b, n, p, 2), i(b, n), yes(b, n))
    raster, edge = f(b, len(RASTER_LAYERS), RASTER_SIZE, RASTER_SIZE), f(b, RASTER_SIZE, RASTER_SIZE)
    flags = {field.name: yes(b) for field in fields(Scene) if field.name.startswith("has_")}
    built = Scene(
        tracks=tracks, lanes=lanes, elements=elements, raster=raster, edge_m=edge, ego_centre_m=f(b), route_m=f(b, p, 2),
        command=i(b), command_origin=i(b) + 2, **flags,
    )  # fmt: skip
    built.check()
    return built


VOID = {"meta", "img", "source", "br", "hr", "input", "link"}


@dataclass
class Page(HTMLParser):
    """What stands in a page: open tags must close in order."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if data.strip() and self.stack[-1] not in ("style", "script"):
            self.texts.append(" ".join(data.split()))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def parsed():
    """A page's tags and texts, once all tags are closed."""

    def parse(path) -> Page:
        found = Page()
        found.feed(path.read_text())
        found.close()
        assert found.stack == []
        return found

    return parse
