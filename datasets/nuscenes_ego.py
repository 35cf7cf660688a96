"""The car that recorded nuScenes, as its planning metrics see it."""

import math

# The footprint that the planning metrics give the ego: they put its centre 0.5 m ahead of LIDAR_TOP.
EGO_SIZE_M = (4.084, 1.85)
LIDAR_AHEAD_M = 0.943713  # of the rear axle
EGO_CENTRE_M = LIDAR_AHEAD_M + 0.5
EGO_FROM_LIDAR = (LIDAR_AHEAD_M, 0.0, -math.pi / 2)  # x right, y forward; where the tables name no other mount
