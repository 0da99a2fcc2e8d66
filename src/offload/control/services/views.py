"""What the services answer with: the rows of the store, by the names their callers may use."""

from offload.control.ports.records import (
    DeadLetter,
    InputRow,
    ItemRow,
    LogRow,
    OutcomeRow,
    StoredApp,
    StoredCall,
)

__all__ = ["DeadLetter", "InputRow", "ItemRow", "LogRow", "OutcomeRow", "StoredApp", "StoredCall"]
