# shellcheck shell=bash
# For BIOS: GRUB's modules, of which images/ makes a core image.
# source: grub-pc-bin amd64

build() {
	cp -r usr/lib/grub/i386-pc/. "$RESULT/"
}
