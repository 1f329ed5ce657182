"""Work that goes on after its call: it is begun, watched, waited for and cancelled. No protobuf inside."""

from ersgallery_server.operations.operation import Kind, Operation, Progress, State
from ersgallery_server.operations.registry import OperationLimits, Operations, Work

__all__ = ["Kind", "Operation", "OperationLimits", "Operations", "Progress", "State", "Work"]
