#!/usr/bin/env bash
# Builds our programs and the initramfs in two copies of the tree that differ in path, umask and
# time stamps, and compares the bytes. (Third-party packages come from the cache.)
set -euo pipefail
cd "$(dirname "$0")/.."

arch=${ARCH:-x86_64}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -cf "$work/tree.tar" --exclude ./out --exclude ./.git .
unset MAKEFLAGS MAKELEVEL MFLAGS

# $1: where, $2: umask, $3: time stamp of all files
build_copy() {
	mkdir "$1"
	tar -xf "$work/tree.tar" -C "$1"
	find "$1" -exec touch -h -d "$3" {} +
	(umask "$2" && cd "$1" && ARCH=$arch build/steps.py initramfs)
}

build_copy "$work/one" 022 2001-01-01
build_copy "$work/another-place" 077 2002-02-02
cmp "$work"/{one,another-place}/out/"$arch"/initramfs.cpio.zst
