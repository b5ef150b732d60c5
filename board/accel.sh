#!/usr/bin/env bash
# Prints the accelerator QEMU should use here: kvm or tcg,thread=multi.
#
# Usage: accel.sh x86_64|arm64 [KERNEL]
#
# /dev/kvm may open, and QEMU may even start on it, and the guest still hangs or QEMU aborts
# (nested and restricted hosts). So the kernel is booted once on it, with nothing to run: it must
# get as far as its panic about the missing root filesystem, and reboot, within a time limit. The
# answer is remembered per host kernel and QEMU version. SAMPAN_ACCEL overrides it; SAMPAN_KVM and
# SAMPAN_PROBE_TIMEOUT (seconds) are for the test of this script.
set -euo pipefail

# a working KVM needs about one second
timeout=${SAMPAN_PROBE_TIMEOUT:-20}
device=${SAMPAN_KVM:-/dev/kvm}
tcg=tcg,thread=multi

if [[ -n ${SAMPAN_ACCEL:-} ]]; then
	echo "$SAMPAN_ACCEL"
	exit 0
fi

arch=$1 kernel=${2:-}
case $arch-$(uname -m) in
x86_64-x86_64) qemu=qemu-system-x86_64 machine=q35 console=ttyS0 ;;
arm64-aarch64) qemu=qemu-system-aarch64 machine=virt,gic-version=max console=ttyAMA0 ;;
*)
	echo "$tcg"
	exit 0
	;;
esac
if [[ ! -r $device || ! -w $device || ! -e $kernel ]]; then
	echo "$tcg"
	exit 0
fi

cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/sampan
key=$(uname -r)-$("$qemu" --version | sed -n '1s/.*version \([^ ]*\).*/\1/p')
answer=$cache_dir/accel-$arch-$key
mkdir -p "$cache_dir"

# only one probe at a time: two guests at once on a slow host could make each other look hung
exec {lock}>"$cache_dir/accel.lock"
flock "$lock"
if [[ ! -s $answer ]]; then
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	ulimit -c 0
	result=$tcg
	# braces: the shell's own "Aborted" goes nowhere, too
	if { timeout --kill-after=2 "$timeout" "$qemu" -machine "$machine" -accel kvm -cpu host \
		-m 256 -nodefaults -no-user-config -display none -no-reboot -serial "file:$log" \
		-kernel "$kernel" -append "console=$console panic=-1" </dev/null; } >/dev/null 2>&1 &&
		grep -qa 'Unable to mount root fs' "$log"; then
		result=kvm
	fi
	echo "$result" >"$answer.$$"
	mv "$answer.$$" "$answer"
fi
cat "$answer"
