"""Secrets made here once and kept in a file that only our own user reads: <var_dir>/secrets."""

import os
import secrets
from pathlib import Path


def kept_secret(var_dir: Path, name: str) -> str:
    """The secret of that name; made on first use. RuntimeError when its file was emptied."""
    folder = var_dir / "secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _read_or_create(folder / name)


def _read_or_create(path: Path) -> str:
    """Linking a finished file makes one process win, and nobody reads half a secret."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if key := path.read_text().strip():
        return key
    raise RuntimeError(f"The file {str(path)!r} is empty; delete it and a new secret is made.")
