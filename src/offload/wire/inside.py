"""What user code in a container may ask the platform: a closed list, which the worker and the server both hold."""

from __future__ import annotations

ALLOWED = frozenset(
    "offload.v1." + name
    for name in (
        "Apps/FindFunction",
        "Blobs/Download",
        "Blobs/DownloadMany",
        "Blobs/Upload",
        "Calls/AddInputs",
        "Calls/Cancel",
        "Calls/Describe",
        "Calls/Items",
        "Calls/Outcomes",
        "Calls/Run",
        "Calls/Submit",
        "Deployments/Resolve",
        "Deployments/ResolveClass",
        "Dicts/Clear",
        "Dicts/Entries",
        "Dicts/Get",
        "Dicts/Length",
        "Dicts/Pop",
        "Dicts/Put",
        "Objects/Delete",
        "Objects/Hold",
        "Objects/List",
        "Objects/Open",
        "Objects/Rename",
        "Queues/Clear",
        "Queues/Get",
        "Queues/Length",
        "Queues/Peek",
        "Queues/Put",
        "Volumes/Commit",
        "Volumes/ListSnapshots",
        "Volumes/ReadTree",
        "Volumes/Restore",
    )
)

# Answered by the worker itself, about the volumes that it has mounted for the container.
COMMIT_MOUNT = "offload.v1.Mounts/Commit"
RELOAD_MOUNT = "offload.v1.Mounts/Reload"
LOCAL = frozenset((COMMIT_MOUNT, RELOAD_MOUNT))

UPLOAD = (
    "offload.v1.Blobs/Upload"  # the only one whose request streams; it goes straight to the server
)

# Both directions stream. The runner asks it for itself, not for user code; it goes straight to the server.
EXCHANGE = "offload.v1.Web/Exchange"
EXCHANGE_WINDOW = (
    4  # parts that a container may send before the server has taken any; the first one counts
)

STREAMED = frozenset(
    "offload.v1." + name
    for name in (
        "Blobs/Download",
        "Blobs/DownloadMany",
        "Calls/Items",
        "Calls/Outcomes",
        "Dicts/Entries",
        "Objects/Hold",
        "Volumes/ReadTree",
    )
)
