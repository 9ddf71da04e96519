"""What the build takes from npm: verified, kept, written whole; errors say what to do."""

import base64
import hashlib
import io
import json
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import vendor  # tools/vendor.py


def pack(files):
    """A tarball as npm makes them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


TARBALL = pack({"LICENSE": b"free", "lib/a.js": b"1", "lib/b.js": b"22", "src/a.ts": b"3"})
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry for npm that has thing@1.0.0: `.body` is what it sends for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = server.body
            if self.path == "/thing":
                dist = {"tarball": f"{server.url}/thing-1.0.0.tgz"}
                version = {"name": "thing", "version": "1.0.0", "dist": dist}
                body = json.dumps({"name": "thing", "versions": {"1.0.0": version}}).encode()
            else:
                server.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.asked = TARBALL, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("npm_config_registry", server.url)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RICHLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "npm"


@pytest.fixture
def package(registry, cache):
    return {"version": "1.0.0", "integrity": INTEGRITY, "book": ["LICENSE", "lib/*"]}


@pytest.fixture
def lock(package, tmp_path):
    path = tmp_path / "lock.toml"
    lines = [f"{key} = {value!r}" for key, value in package.items()]
    path.write_text("[thing]\n" + "\n".join(lines), "utf-8")
    return path


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_book_gets_the_files_it_names_and_no_older_ones(lock, tmp_path):
    folder = tmp_path / "_build" / "vendor"
    folder.mkdir(parents=True)
    (folder / "old.js").write_text("of another version")
    vendor.fill(folder, lock)
    assert tree(folder) == {
        "thing/LICENSE": b"free",
        "thing/lib/a.js": b"1",
        "thing/lib/b.js": b"22",
    }
    assert list(folder.parent.iterdir()) == [folder]


def test_the_second_build_needs_no_network(lock, registry, tmp_path):
    vendor.fill(tmp_path / "vendor", lock)
    vendor.fill(tmp_path / "vendor", lock)
    assert registry.asked == 1
    assert len(tree(tmp_path / "vendor")) == 3


def test_without_network_and_cache(package, cache, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(vendor.VendorError) as error:
        vendor.tarball("thing", package)
    for part in (cache / "thing-1.0.0.tgz", "thing@1.0.0", "ECONNREFUSED", "with a network"):
        assert str(part) in str(error.value)


def test_a_tarball_put_into_the_cache_by_hand_is_taken(package, cache, registry):
    cache.mkdir(parents=True)
    (cache / "thing-1.0.0.tgz").write_bytes(TARBALL)
    assert vendor.tarball("thing", package) == TARBALL
    assert registry.asked == 0


def test_other_bytes_are_refused_and_not_kept(package, cache, registry):
    registry.body = pack({"LICENSE": b"other"})
    with pytest.raises(vendor.VendorError) as error:
        vendor.tarball("thing", package)
    for part in ("thing@1.0.0", f"expected {INTEGRITY}", "got sha512-", "try again"):
        assert part in str(error.value)
    assert not cache.exists()


def test_a_damaged_cache_is_an_error_that_names_the_file(package, cache, registry):
    vendor.tarball("thing", package)
    (cache / "thing-1.0.0.tgz").write_bytes(TARBALL[:-1])
    with pytest.raises(vendor.VendorError, match="thing-1.0.0.tgz: expected .*Delete this file"):
        vendor.tarball("thing", package)
    assert registry.asked == 1


def test_a_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        vendor.write("no bytes", tmp_path / "thing.tgz")
    assert not list(tmp_path.iterdir())


def test_a_pattern_that_fits_no_file_is_an_error():
    with pytest.raises(vendor.VendorError, match="lib/c.js.*lib/a.js"):
        vendor.members(TARBALL, ["lib/c.js"])


def test_a_failed_fill_leaves_what_was_there(lock, registry, tmp_path):
    folder = tmp_path / "vendor"
    vendor.fill(folder, lock)
    before = tree(folder)
    lock.write_text(lock.read_text().replace("lib/*", "lib/c.js"))
    with pytest.raises(vendor.VendorError):
        vendor.fill(folder, lock)
    assert tree(folder) == before


def test_the_command_says_what_is_wrong_in_one_line(monkeypatch):
    def fail(_):
        raise vendor.VendorError("expected this, got that")

    monkeypatch.setattr(vendor, "fill", fail)
    with pytest.raises(SystemExit, match=r"^tools/vendor.py: expected this, got that$"):
        vendor.main()


def test_every_package_is_pinned():
    for package in vendor.packages().values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        digest = package["integrity"].removeprefix("sha512-")
        assert len(base64.b64decode(digest, validate=True)) == 64
