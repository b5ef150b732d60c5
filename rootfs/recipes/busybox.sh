# shellcheck shell=bash
# Shell, udhcpc, ip and the usual tools, as one program; busybox.config says which.
# source: busybox
# needs: musl
# files: rootfs/recipes/busybox.config rootfs/recipes/busybox-build.sh

# shellcheck source=rootfs/recipes/busybox-build.sh
. "$TOP/rootfs/recipes/busybox-build.sh"

build() {
	build_busybox "$TOP/rootfs/recipes/busybox.config"
}
