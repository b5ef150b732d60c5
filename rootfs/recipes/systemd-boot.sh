# shellcheck shell=bash
# For UEFI: systemd's EFI stub, which makes the UKI, and its boot manager.
# source: systemd-boot-efi $DEB_ARCH

build() {
	cp usr/lib/systemd/boot/efi/linux*.efi.stub usr/lib/systemd/boot/efi/systemd-boot*.efi "$RESULT/"
}
