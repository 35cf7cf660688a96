"""drive_wm: a world model for driving, from nuScenes tables to a compiled planner."""
