#!/usr/bin/python3
"""Writes what the system is made of as an SPDX 2.3 document: sbom.py ARCH OUTPUT

Every source of rootfs/sources.lock that a recipe uses and that ends up in the kernel, the initramfs
or the disk, at the version that was built. The same sources make the same bytes.
"""

import json
import os
import re
import sys
import time
import uuid

import sources

# where each source ends up; what is not here only helps to build or to test
ROLES = {
    "linux-source-6.12": "OPERATING_SYSTEM",
    "musl": "LIBRARY",
    "libseccomp": "LIBRARY",
    "yyjson": "LIBRARY",
    "http-parser": "LIBRARY",
    "zlib": "LIBRARY",
    "libzstd": "LIBRARY",
    "libarchive": "LIBRARY",
    "mbedtls": "LIBRARY",
    "curl": "LIBRARY",
    "sqlite3": "LIBRARY",
    "ca-certificates": "OTHER",
    "busybox": "APPLICATION",
    "dropbear": "APPLICATION",
    "e2fsprogs": "APPLICATION",
    "systemd-boot-efi": "FIRMWARE",
    "grub-pc-bin": "FIRMWARE",
}
DEB_ARCH = {"x86_64": "amd64", "arm64": "arm64"}


def used(source, arch):
    if source.name == "grub-pc-bin" and arch != "x86_64":
        return False
    wrong_arch = source.name == "systemd-boot-efi" and source.kind != DEB_ARCH[arch]
    return source.name in ROLES and not wrong_arch


def package(source):
    name, _, sha256 = next((f for f in source.files if ".orig.tar." in f[0]), source.files[0])
    kind = "source" if source.kind == "source" else re.search(r"_(\w+)\.deb$", name)[1]
    version = source.version.replace("+", "%2B").replace(":", "%3A")
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", source.name),
        "name": source.name,
        "versionInfo": source.version,
        "packageFileName": name,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        "downloadLocation": source.upstream_url() or "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": source.fields["Licence"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": ROLES[source.name],
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:deb/debian/{source.name}@{version}?arch={kind}",
            }
        ],
    }


def document(arch, all_sources, epoch):
    packages = [package(source) for source in all_sources if used(source, arch)]
    system = {
        "SPDXID": "SPDXRef-Sampan",
        "name": "sampan",
        "versionInfo": arch,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING_SYSTEM",
    }
    content = json.dumps(packages, sort_keys=True)
    relationships = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Sampan")]
    relationships += [("SPDXRef-Sampan", "CONTAINS", entry["SPDXID"]) for entry in packages]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"sampan-{arch}",
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'sampan:{arch}:{content}')}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "creators": ["Tool: sampan-build"],
        },
        "packages": [system, *packages],
        "relationships": [
            {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
            for one, how, other in relationships
        ],
    }


def main(arch, output):
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    with open(output + ".new", "w", encoding="utf-8") as file:
        json.dump(document(arch, sources.effective(), epoch), file, indent=1)
        file.write("\n")
    os.rename(output + ".new", output)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except sources.Error as error:
        sys.exit(f"sbom: {error}")
