"""What a Space is on disk: walks, cameras, poses, units, and the frame cache (docs/spaces.md)."""

from tst.space.cache import CachedFrames, frame_cache
from tst.space.camera import Camera
from tst.space.space import Space, Walk

__all__ = ["CachedFrames", "Camera", "Space", "Walk", "frame_cache"]
