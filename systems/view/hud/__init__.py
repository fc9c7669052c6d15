"""The panels over and around the stage (imgui), drawn with moderngl into whatever framebuffer is bound."""

from systems.view.hud.hud import Hud
from systems.view.hud.state import UiState

__all__ = ["Hud", "UiState"]
