#!/usr/bin/env bash
# Builds the kernel of one architecture.
#
# Usage: build.sh ARCH SOURCE OUTDIR [EXTRA]...
#   ARCH    x86_64 or arm64; another architecture than this machine's is cross-compiled
#   SOURCE  linux-source-6.12_*.deb, or a tar file with one folder
#   OUTDIR  gets what is listed below, each file by rename, when all of it is built
#   EXTRA   a prepared fragment to add: cloud, metal
#
#   kernel      what a VMM or boot loader starts directly: bzImage (x86_64), Image (arm64)
#   kernel.gz   arm64: Image with gzip, which QEMU and U-Boot start as well
#   kernel.efi  what goes into a UKI: bzImage (x86_64), the self-unpacking vmlinuz.efi (arm64)
#   vmlinux     x86_64: the ELF file with the PVH note, for microvm
#   config, System.map
#
# The build is reproducible: the sources' own date, fixed names, relative paths (it is built inside
# its tree). ccache serves a second build when it is installed. V=1 shows the commands.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if (($# < 3)); then
	sed -n '4,5s/^# //p' "$0" >&2
	exit 2
fi
arch=$1 source=$(realpath "$2") out=$3
shift 3
mkdir -p "$out"
out=$(realpath "$out")

case $arch in
x86_64) gnu=x86_64-linux-gnu targets=(bzImage vmlinux) ;;
arm64) gnu=aarch64-linux-gnu targets=(Image Image.gz vmlinuz.efi) ;;
*)
	echo "build.sh: unknown architecture $arch: x86_64 or arm64" >&2
	exit 2
	;;
esac

# What the caller's make or shell exported must not reach the kernel's make.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CFLAGS CPPFLAGS LDFLAGS ARCH CROSS_COMPILE \
	KCFLAGS KCPPFLAGS KAFLAGS KBUILD_OUTPUT LOCALVERSION INSTALL_PATH
export LC_ALL=C TZ=UTC
export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/sampan/ccache}

tree=$out/kernel-build
trap 'rm -rf "$tree"' EXIT
rm -rf "$tree"
mkdir "$tree"
if [[ $source = *.deb ]]; then
	dpkg-deb --fsys-tarfile "$source" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -C "$tree" -xJ --strip-components=1
else
	tar -C "$tree" -xf "$source" --strip-components=1
fi
cd "$tree"

date=${SOURCE_DATE_EPOCH:-$(stat -c %Y Makefile)}
wrap=$(command -v ccache || true)
options=(
	ARCH="$arch" CROSS_COMPILE="$gnu-" CC="${wrap:+ccache }$gnu-gcc" HOSTCC="${wrap:+ccache }gcc"
	KBUILD_BUILD_TIMESTAMP="$(date -u -d "@$date" '+%a %b %e %H:%M:%S UTC %Y')"
	KBUILD_BUILD_USER=sampan KBUILD_BUILD_HOST=sampan KBUILD_BUILD_VERSION=1
)
[[ -n ${V:-} ]] || options+=(-s)

"$here/check.py" merge "$arch" "$@" >requested.config
make "${options[@]}" KCONFIG_ALLCONFIG=requested.config allnoconfig
"$here/check.py" kept "$arch" .config "$@"
make "${options[@]}" -j"$(nproc)" "${targets[@]}"

ready=$tree/ready
mkdir "$ready"
cp .config "$ready/config"
cp System.map "$ready"
case $arch in
x86_64)
	cp arch/x86/boot/bzImage "$ready/kernel"
	cp "$ready/kernel" "$ready/kernel.efi"
	"$gnu-strip" --strip-all -o "$ready/vmlinux" vmlinux
	;;
arm64)
	cp arch/arm64/boot/Image "$ready/kernel"
	cp arch/arm64/boot/Image.gz "$ready/kernel.gz"
	cp arch/arm64/boot/vmlinuz.efi "$ready/kernel.efi"
	;;
esac
chmod 644 "$ready"/*
mv "$ready"/* "$out"
