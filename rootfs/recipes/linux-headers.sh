# shellcheck shell=bash
# The kernel's headers for user space.
# source: linux-source-6.12
# unpack: no

build() {
	local kernel_arch=$ARCH

	[[ $ARCH != x86_64 ]] || kernel_arch=x86
	tar -xf "$(kernel_tarball)" --strip-components=1 --wildcards '*/Makefile' '*/Kbuild' \
		'*/include/uapi' '*/include/asm-generic' '*/scripts' '*/tools/include' "*/arch/$kernel_arch" '*/usr/include'
	make ARCH="$kernel_arch" INSTALL_HDR_PATH="$RESULT" headers_install
	find "$RESULT" -name '.*' -type f -delete
}
