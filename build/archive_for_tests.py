"""A Debian archive on the loopback interface, as small as apt accepts, that can misbehave."""

import hashlib
import http.server
import io
import os
import re
import subprocess
import tarfile
import threading

PATCH = "--- a/greeting\n+++ b/greeting\n@@ -1 +1 @@\n-hello\n+hello, patched\n"


def tar(kind, files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{kind}") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Archive:
    """Files by path; faults[path] is a list of what happens to the next answers for it."""

    def __init__(self, folder):
        self.folder, self.files, self.faults, self.requests = folder, {}, {}, []
        self.gpg_home = folder / "gnupg"
        self.gpg_home.mkdir(mode=0o700)
        self.gpg("--quick-gen-key", "archive@example.test", "ed25519", "sign", "never")
        self.keyring = folder / "keyring.gpg"
        self.gpg("--output", self.keyring, "--export")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server.server_port}/debian"

    def gpg(self, *arguments, **options):
        command = ["gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
        env = {**os.environ, "GNUPGHOME": str(self.gpg_home)}
        return subprocess.run([*command, *arguments], env=env, check=True, **options)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        subprocess.run(
            ["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(self.gpg_home)}, check=False
        )

    def publish(self, version, content="hello\n"):
        """The source package greeter at one version, and a signed index of it, in all suites."""
        upstream = version.rsplit("-", 1)[0]
        orig = f"greeter_{upstream}.orig.tar.gz"
        debian = f"greeter_{version}.debian.tar.xz"
        pool = {
            orig: tar("gz", {"greeter/greeting": content}),
            debian: tar("xz", {"debian/patches/series": "fix\n", "debian/patches/fix": PATCH, "debian/v": version}),
            f"greeter_{version}.dsc": b"nobody reads it\n",
        }
        for name, data in pool.items():
            self.files[f"pool/main/g/greeter/{name}"] = data
        sums = "".join(f" {hashlib.sha256(d).hexdigest()} {len(d)} {n}\n" for n, d in pool.items())
        index = (
            f"Package: greeter\nBinary: greeter\nVersion: {version}\nArchitecture: any\n"
            f"Format: 3.0 (quilt)\nDirectory: pool/main/g/greeter\nChecksums-Sha256:\n{sums}"
        )
        for suite in ("trixie", "trixie-backports", "trixie-security"):
            self.sign(suite, index if suite == "trixie" else "")
        return pool

    def publish_binaries(self, packages):
        """Binary packages for amd64, {name: its control fields}, and a signed index of them."""
        index = ""
        for name, fields in packages.items():
            file = f"pool/main/{name}_1.0_amd64.deb"
            data = self.files[file] = f"the file of {name}\n".encode()
            index += f"Package: {name}\nVersion: 1.0\nArchitecture: amd64\nMaintainer: nobody\n"
            index += "".join(f"{field}: {value}\n" for field, value in fields.items())
            index += f"Filename: {file}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"
        for suite in ("trixie", "trixie-backports", "trixie-security"):
            self.sign(suite, "", index if suite == "trixie" else "")

    def sign(self, suite, sources, binaries=""):
        parts = {"main/source/Sources": sources.encode()}
        parts.update({f"main/binary-{arch}/Packages": b"" for arch in ("amd64", "arm64")})
        parts["main/binary-amd64/Packages"] = binaries.encode()
        sums = "".join(f" {hashlib.sha256(d).hexdigest()} {len(d)} {n}\n" for n, d in parts.items())
        release = (
            f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64 arm64\nComponents: main\n"
            f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{sums}"
        )
        signed = self.gpg("--clearsign", "--output", "-", input=release.encode(), stdout=subprocess.PIPE)
        for name, data in parts.items():
            self.files[f"dists/{suite}/{name}"] = data
        self.files[f"dists/{suite}/InRelease"] = signed.stdout

    def handler(archive):  # noqa: the handler below needs "self" for itself
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = re.sub("%([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), self.path)
                name = re.sub("^/debian(-security)?/", "", path)
                archive.requests.append((name, self.headers.get("Range")))
                data = archive.files.get(name)
                if data is None:
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                start = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
                start = int(start[1]) if start else 0
                if start and start >= len(data):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(data)}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start))
                self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
                self.send_header("Accept-Ranges", "bytes")
                self.end_headers()
                faults = archive.faults.get(name)
                fault = faults.pop(0) if faults else None
                body = data[start:]
                if fault == "truncate":
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                elif fault == "cut":
                    self.close_connection = True
                elif fault == "corrupt":
                    self.wfile.write(bytes(byte ^ 0xFF for byte in body))
                else:
                    self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        return Handler
