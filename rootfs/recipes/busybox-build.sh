# shellcheck shell=bash
# What the BusyBox recipes have in common.

# $1: the symbols that are on; everything else is off. $RESULT gets bin, sbin, usr with links.
build_busybox() {
	local lost link

	# BusyBox's allnoconfig forgets given values; so every other symbol is named as off. The first
	# mention wins, and only numbers and strings are left to ask for: they get their default.
	make allnoconfig >/dev/null
	{
		cat "$1"
		find . -name Config.in -exec sed -n 's/^[ \t]*config \([A-Z0-9_]*\)$/# CONFIG_\1 is not set/p' {} +
	} >.config
	# yes is ended by the closed pipe
	{ yes '' || true; } | make oldconfig >/dev/null
	lost=$(grep '^CONFIG.*=[^n]' "$1" | grep -vxFf .config || true)
	[[ -z $lost ]] || { echo "the built config lost: $lost" && return 1; }
	# the version line must not carry the moment of the build
	make -j"$JOBS" CROSS_COMPILE="$MUSL-" HOSTCC="$(type -p cc)" SKIP_STRIP=y \
		CONFIG_EXTRA_CFLAGS="$CFLAGS -Os" CONFIG_EXTRA_LDFLAGS="$LDFLAGS" \
		KBUILD_BUILD_TIMESTAMP="$SOURCE_DATE_EPOCH" busybox busybox.links
	check_static_pie busybox_unstripped
	install_stripped "$RESULT/bin" busybox_unstripped
	mv "$RESULT/bin/busybox_unstripped" "$RESULT/bin/busybox"
	while read -r link; do
		mkdir -p "$RESULT/${link%/*}"
		ln -s "$(realpath -m --relative-to="$RESULT/${link%/*}" "$RESULT/bin/busybox")" "$RESULT/$link"
	done < <(grep -vx /bin/busybox busybox.links)
}
