"""Checkpoints that a kill, a full disk or a flipped bit cannot turn into a wrong result.

A file holds the SHA-256 of what follows, and what torch.save wrote. A new one replaces the old one
only when it is complete, and the old one stays beside it until then as NAME.previous.
"""

import hashlib
import io
import os
import warnings
from pathlib import Path

import torch

from richlib.lab import files


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or resumed from; the message says what to do."""


def write(state: dict, path: Path) -> None:
    """Numbers, strings, lists, dicts and tensors, for `read`. CheckpointError on a full disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        with files.replacing(path) as file:
            file.write(hashlib.sha256(buffer.getbuffer()).digest())
            file.write(buffer.getbuffer())
            file.flush()  # before the old one moves: a full disk is known here
            if path.exists():
                os.replace(path, previous(path))
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be written ({error.strerror}); make room, then give the "
            "same command again: it goes on from the last checkpoint that was written"
        ) from error


def read(path: Path, identity: str) -> dict | None:
    """The state that was written last, or None where there is none.

    A damaged file is passed over for the previous one, with a warning. CheckpointError where that
    is damaged too, or where the state is that of another run than `identity`.
    """
    there = [file for file in (path, previous(path)) if file.exists()]
    for file in there:
        state = _verified(file)
        if state is None:
            warnings.warn(f"the checkpoint {file} is damaged", stacklevel=2)
            continue
        if state["identity"] != identity:
            raise CheckpointError(
                f"the checkpoint {file} belongs to another run ({state['identity']}, not "
                f"{identity}); delete it or use another folder"
            )
        return state
    if there:
        names = " and ".join(str(file) for file in there)
        raise CheckpointError(f"the checkpoint cannot be read; delete {names} to start again")
    return None


def previous(path: Path) -> Path:
    """Where the checkpoint before this one is kept."""
    return path.with_name(f"{path.name}.previous")


def remove(path: Path) -> None:
    """The run is finished: nothing whose name begins so stays, of none of its phases, not even
    what a killed process was writing.
    """
    files.remove_abandoned(path)
    for file in path.parent.glob(f"{path.name}*"):
        if file.suffix != ".partial":
            file.unlink(missing_ok=True)


def _verified(file: Path) -> dict | None:
    """What the file holds, or None where its bytes are not those that were written."""
    content = file.read_bytes()
    if hashlib.sha256(memoryview(content)[32:]).digest() != content[:32]:
        return None
    return torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
