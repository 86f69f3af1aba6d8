"""HorizontalPodAutoscalers: how many pods the load asks for."""

from knarr.controller.podautoscaler.controller import controller as controller
from knarr.controller.podautoscaler.settings import Settings as Settings
