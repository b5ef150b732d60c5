#!/bin/bash
# Builds a Debian userland as an OCI image: build.sh OUT.tar
#
# Debian trixie (minbase) and python3, which serves /srv on port 8000. Two layers, as people build
# them: the second removes files of the first. Needs root, and the packages debootstrap, umoci and
# skopeo; Debian's archive is the one that the machine's apt uses. Results are kept in the cache.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
out=$(realpath -m "${1:?usage: build.sh OUT.tar}")
key=$(sha256sum "$0" | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sampan/test-images
cached=$cache/debian-$key.tar

if [[ -f $cached ]]; then
	cp "$cached" "$out"
	exit
fi
[[ $(id -u) = 0 ]] || { echo "build.sh: needs root, for debootstrap" >&2 && exit 1; }
for tool in debootstrap umoci skopeo; do
	command -v "$tool" >/dev/null || { echo "build.sh: install the package $tool" >&2 && exit 1; }
done

mkdir -p "$cache"
work=$(mktemp -d "$cache/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
log=$work/log
run() {
	"$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2 && echo "build.sh: failed: $1" >&2 && exit 1; }
}

mirror=$(PYTHONPATH=$top/build python3 -c 'import apt; print(apt.find_archives()[0][0])')
run umoci init --layout image
run umoci new --image image:debian
run umoci unpack --image image:debian bundle
run debootstrap --variant=minbase --include=python3 trixie bundle/rootfs "$mirror"
# the address of an archive belongs to the machine, not into an image
: >bundle/rootfs/etc/apt/sources.list
rm -f bundle/rootfs/etc/resolv.conf bundle/rootfs/etc/hostname
rm -rf bundle/rootfs/var/cache/apt/archives/*.deb bundle/rootfs/var/lib/apt/lists/*
run umoci repack --image image:debian bundle

rm -rf bundle
run umoci unpack --image image:debian bundle
rm -rf bundle/rootfs/usr/share/doc bundle/rootfs/usr/share/man bundle/rootfs/var/log/*
echo 'Served by python3 on Debian.' >bundle/rootfs/srv/index.html
run umoci repack --image image:debian bundle
run umoci config --image image:debian --config.user www-data --config.workingdir /srv \
	--config.env PYTHONUNBUFFERED=1 --config.stopsignal SIGINT --config.exposedports 8000/tcp \
	--config.entrypoint python3 --config.entrypoint -m --config.entrypoint http.server \
	--config.cmd 8000
run skopeo copy oci:image:debian "oci-archive:$work/out.tar:debian"
mv out.tar "$cached"
cp "$cached" "$out"
