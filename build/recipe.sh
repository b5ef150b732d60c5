#!/usr/bin/env bash
# Runs one recipe: sources it and calls its build() in the unpacked source tree.
#
# Usage: recipe.sh RECIPE   (called by steps.py with the environment that it documents)
#
# A recipe finds: $ARCH (x86_64, arm64), $GNU and $MUSL (compiler triplets), $RESULT (put the result
# here), $WORK (scratch), $JOBS, $TOP (the tree), $SOURCE_FILES, and $DEP_NAME for each need. With
# "needs: musl" it also finds the cross compiler in $PATH and its flags below.
# shellcheck disable=SC2034 # what is set here is for the recipe
set -euo pipefail
umask 022

CFLAGS="-O2 -g0 -fstack-protector-strong -fstack-clash-protection -ffunction-sections -fdata-sections"
# the compiler's own name for the work directory must not end up in the binaries
CFLAGS+=" -ffile-prefix-map=$WORK=."
LDFLAGS="-Wl,--gc-sections -Wl,-z,noexecstack"
case $ARCH in
x86_64) CFLAGS+=" -fcf-protection=none" ;;
arm64) CFLAGS+=" -mbranch-protection=standard" ;;
esac

if [[ -n ${DEP_MUSL:-} ]]; then
	PATH=$DEP_MUSL/bin:$PATH
	# nothing of the build machine is ever found by pkg-config
	export PKG_CONFIG="$DEP_MUSL/bin/$MUSL-pkg-config" PKG_CONFIG_LIBDIR=/nonexistent
fi
CC=$MUSL-gcc

# $1 directory, rest: programs to install there, stripped
install_stripped() {
	local target=$1 program

	shift
	mkdir -p "$target"
	for program; do
		"$GNU-strip" -s -R .comment -o "$target/${program##*/}" "$program"
		chmod 755 "$target/${program##*/}"
	done
}

# What the OS runs must need no loader, no writable code, and sit at a random address.
check_static_pie() {
	local program

	for program; do
		"$GNU-readelf" -hld "$program" >"$WORK/elf"
		grep -q 'Type: *DYN' "$WORK/elf" || { echo "$program is not PIE" && return 1; }
		! grep -q INTERP "$WORK/elf" || { echo "$program wants a loader" && return 1; }
		! grep -q NEEDED "$WORK/elf" || { echo "$program wants shared libraries" && return 1; }
		! grep -q TEXTREL "$WORK/elf" || { echo "$program has text relocations" && return 1; }
		! grep -q 'GNU_STACK.*E 0x' "$WORK/elf" || { echo "$program: executable stack" && return 1; }
		grep -q GNU_RELRO "$WORK/elf" || { echo "$program has no RELRO" && return 1; }
	done
}

# The kernel's source as one tar file, from Debian's package of it or from upstream.
kernel_tarball() {
	case $SOURCE_FILES in
	*.deb)
		dpkg-deb --fsys-tarfile "$SOURCE_FILES" |
			tar -xO --wildcards './usr/src/linux-source-*.tar.xz' >"$WORK/linux.tar.xz"
		echo "$WORK/linux.tar.xz"
		;;
	*) echo "$SOURCE_FILES" ;;
	esac
}

# shellcheck source=/dev/null
. "$1"
# V=1 shows the commands; the log always has them
set -x
build
