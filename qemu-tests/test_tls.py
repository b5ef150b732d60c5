"""The machine's engine over TCP: the stock docker client by mutual TLS, once there are keys."""

import io
import subprocess
import sys
import tarfile

from dockercli import client
from guest import TOP

sys.path.insert(0, str(TOP / "runtime/api"))

from certificates import make_authority, make_certificate, offer  # noqa: E402

KEYS = "/var/lib/sampan/tls"


def keys(folder):
    """What goes into the machine: ca.pem, cert.pem and key.pem, as a tar file."""
    make_authority(folder)
    make_certificate(folder, "server", "server")
    make_certificate(folder, "client", "client")
    offer(folder, "server")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("ca.pem", "cert.pem", "key.pem"):
            archive.add(folder / name, name)
    return packed.getvalue()


def test_who_has_a_certificate_drives_the_engine(boot, tmp_path):
    guest = boot("q35", forward=(22, 80, 2376))
    guest.boot()
    assert ":2376 " not in guest.ssh("netstat -ltn").ok()
    since = guest.mark()
    guest.ssh(f"mkdir -m 700 {KEYS} && tar -x -C {KEYS} && sampan restart sampand", stdin=keys(tmp_path)).ok()
    guest.wait_for("ready on TCP port 2376, by TLS", since=since)

    def docker(*words, certificate="client"):
        files = {"--tlscacert": "ca.pem", "--tlscert": f"{certificate}.pem", "--tlskey": f"{certificate}-key.pem"}
        options = [word for option, name in files.items() for word in (option, str(tmp_path / name))]
        return subprocess.run(
            [client() / "usr/bin/docker", "-H", f"tcp://127.0.0.1:{guest.host_port(2376)}", "--tlsverify", *options,
             *words], capture_output=True, text=True, timeout=120, check=False,
        )

    assert docker("ps", "--format", "{{.Names}}").stdout == "web\n"
    stranger = docker("ps", certificate="server")
    assert stranger.returncode == 1 and stranger.stdout.count("web") == 0
    assert "TLS: " in guest.wait_for(r"sampand.* TLS: .*refused: .*")[0]
