"""The bill of materials, made from the real lock."""

import glob
import os
import re

import sbom
import sources
import steps


def contents(arch):
    made = sbom.document(arch, sources.read_lock()[1], 0)
    return made, {package["name"]: package for package in made["packages"]}


def test_every_source_that_a_recipe_builds_is_listed():
    built = set()
    for path in glob.glob(os.path.join(sources.TOP, "rootfs/recipes/*.sh")):
        with open(path, encoding="utf-8") as file:
            built |= set(re.findall(r"(?m)^# source: (\S+)", file.read()))
    assert built and built <= set(contents("x86_64")[1])


def test_versions_and_hashes_are_the_ones_of_the_lock():
    _, found = contents("x86_64")
    musl = sources.select(sources.read_lock()[1], "musl")
    assert found["musl"]["versionInfo"] == musl.version
    assert found["musl"]["checksums"][0]["checksumValue"] in [sha256 for _, _, sha256 in musl.files]


def test_only_a_machine_with_a_bios_has_grub():
    assert "grub-pc-bin" in contents("x86_64")[1]
    assert "grub-pc-bin" not in contents("arm64")[1]


def test_relationships_name_packages_that_are_there():
    made, _ = contents("arm64")
    ids = {package["SPDXID"] for package in made["packages"]} | {"SPDXRef-DOCUMENT"}
    for relation in made["relationships"]:
        assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= ids


def test_the_build_has_a_date_of_its_own():
    assert int(steps.source_date_epoch()) > 1700000000
