"""The supervisor: every container of this worker, from its start to its end."""

from offload.worker.supervisor.channel import Channel
from offload.worker.supervisor.options import Listener, SupervisorOptions
from offload.worker.supervisor.supervisor import Supervisor
from offload.worker.supervisor.templates import Templates, TemplatesOptions

__all__ = [
    "Channel",
    "Listener",
    "Supervisor",
    "SupervisorOptions",
    "Templates",
    "TemplatesOptions",
]
