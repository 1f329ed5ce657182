"""A Python package index on a free port of this machine, with archives made by the test."""

import contextlib
import http.server
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ersgallery_server.models.package_index import PackageIndex


@dataclass
class ServedIndex:
    """What is served: files by path; `asked` lists the paths that were asked for, with their Authorization."""

    url: str
    files: Mapping[str, bytes]
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def index(self) -> PackageIndex:
        """The index to fetch from."""
        return PackageIndex(f"{self.url}/simple/")


@contextlib.contextmanager
def serve_index(
    projects: Mapping[str, Mapping[str, bytes]], extra: Mapping[str, bytes] | None = None
) -> Iterator[ServedIndex]:
    """Serve archives by project and file name, as a simple repository, and `extra` files by path."""
    files = {f"/files/{name}": data for archives in projects.values() for name, data in archives.items()}
    for project, archives in projects.items():
        links = "".join(f'<a href="/files/{name}">{name}</a>' for name in archives)
        files[f"/simple/{project}/"] = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
    files.update(extra or {})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            served.asked.append((path, self.headers.get("Authorization")))
            data = files.get(path)
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Type", "text/html" if path.startswith("/simple/") else "application/octet-stream")
            if not path.endswith(".unannounced"):
                self.send_header("Content-Length", str(len(data or b"") + 100 * path.endswith(".cut")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = ServedIndex(f"http://127.0.0.1:{server.server_address[1]}", files)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wheel(members: Mapping[str, bytes]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def sdist(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Return a .tar.gz archive with regular files and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
