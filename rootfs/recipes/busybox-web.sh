# shellcheck shell=bash
# BusyBox's web server, for the example application (examples/web).
# source: busybox
# needs: musl
# files: rootfs/recipes/busybox-web.config rootfs/recipes/busybox-build.sh

# shellcheck source=rootfs/recipes/busybox-build.sh
. "$TOP/rootfs/recipes/busybox-build.sh"

build() {
	build_busybox "$TOP/rootfs/recipes/busybox-web.config"
}
