"""An authority and certificates of it, made with openssl, as someone who sets up TLS would."""

import subprocess

SUBJECT = {
    "server": "subjectAltName=IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n",
    "client": "extendedKeyUsage=clientAuth\n",
}


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)


def make_authority(folder, name="ca"):
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
        "-subj", f"/CN={name}", "-keyout", folder / f"{name}-key.pem", "-out", folder / f"{name}.pem",
    )


def make_certificate(folder, name, role, authority="ca", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=2):
    """NAME.pem and NAME-key.pem in the folder, for a server or a client."""
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    openssl("req", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}-key.pem",
            "-out", request)
    extensions.write_text(SUBJECT[role])
    openssl("x509", "-req", "-in", request, "-CA", folder / f"{authority}.pem", "-CAkey",
            folder / f"{authority}-key.pem", "-CAcreateserial", "-days", days, "-extfile", extensions,
            "-out", folder / f"{name}.pem")


def offer(folder, name):
    """What the engine reads: ca.pem, cert.pem, key.pem."""
    for source, target in ((f"{name}.pem", "cert.pem"), (f"{name}-key.pem", "key.pem")):
        (folder / target).write_bytes((folder / source).read_bytes())
