"""Has CSI volumes attached to the nodes of the pods that use them, and detached when none does any more.

Attaching itself is done by each driver's external attacher, which works on VolumeAttachments.
"""

from knarr.controller.attach_detach.controller import CONTROLLER

__all__ = ["CONTROLLER"]
