"""All scenes, of all sections."""

from tests.binding import checkpoints, everyday, groups, rebinding, schedules, storage
from tests.binding.scenes import SCENES

SECTIONS = (rebinding, storage, groups, checkpoints, schedules, everyday)
__all__ = ["SCENES", "SECTIONS"]
