#!/usr/bin/env bash
# Installs the Debian packages that a target needs and this machine lacks. Asks first, unless CI is
# set or this is root.
#
# Usage: host-packages.sh build|check|run|image|test|bench...   (ARCH in the environment)
set -euo pipefail

arch=${ARCH:-x86_64}

# debian-archive-keyring: Ubuntu has it not
declare -A packages=(
	[build]="build-essential bc bison bsdextrautils gperf flex libelf-dev libssl-dev cpio rsync zstd xz-utils bzip2 ccache
		patch pkgconf python3 curl ca-certificates debian-archive-keyring
		fakeroot erofs-utils libarchive-dev libmbedtls-dev tcl"
	[check]="clang clang-tidy clang-format libclang-rt-dev shellcheck libcmocka-dev libseccomp-dev
		libarchive-dev libmbedtls-dev libsqlite3-dev libhttp-parser-dev libcurl4-openssl-dev openssl docker-registry apache2-utils
		python3-pytest python3-jsonschema python3-docker gpg gpg-agent
		busybox-static procps strace uidmap umoci skopeo mtools dosfstools fdisk grub-common"
	[image]="mtools dosfstools fdisk"
	[run]="curl openssh-client"
	[test]="python3-pytest python3-pytest-xdist python3-pexpect skopeo umoci debootstrap fdisk
		e2fsprogs openssh-client curl ovmf qemu-efi-aarch64 qemu-system-x86 qemu-system-arm qemu-utils"
	[bench]="python3-pexpect python3-pytest openssh-client curl"
)

case $arch-$(uname -m) in
arm64-x86_64) packages[build]+=" gcc-aarch64-linux-gnu" ;;
x86_64-aarch64) packages[build]+=" gcc-x86-64-linux-gnu" ;;
esac
case $arch in
x86_64)
	packages[image]+=" grub-common"
	packages[run]+=" qemu-system-x86"
	packages[bench]+=" qemu-system-x86"
	;;
arm64)
	packages[run]+=" qemu-system-arm"
	packages[bench]+=" qemu-system-arm"
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "host-packages: not a Debian or Ubuntu machine; the build needs what Debian calls:" >&2
	for group; do echo "  ${packages[$group]}" | tr -s '\n\t' ' ' >&2; done
	exit 0
fi

missing=()
for group; do
	for package in ${packages[$group]:?unknown group $group}; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) = installed ]] ||
			[[ " ${missing[*]} " = *" $package "* ]] || missing+=("$package")
	done
done
((${#missing[@]})) || exit 0

sudo=()
[[ $(id -u) = 0 ]] || sudo=(sudo)
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
echo "These packages are missing: ${missing[*]}"
if [[ $(id -u) != 0 && -z ${CI:-} ]]; then
	if [[ ! -t 0 ]]; then
		echo "Install them, or set CI=1 to let this do it: ${install[*]}" >&2
		exit 1
	fi
	read -r -p "Install them with sudo apt-get? [Y/n] " answer
	[[ ${answer:-y} = [yY]* ]] || exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# the machine's lists may be old or missing, so a failure to install means one update
if ! "${install[@]}" >"$log" 2>&1; then
	if ! { "${sudo[@]}" apt-get update -q && "${install[@]}"; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "host-packages: apt-get could not install ${missing[*]}" >&2
		exit 1
	fi
fi
echo "Installed."
