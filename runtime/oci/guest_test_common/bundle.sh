# shellcheck shell=sh
# What the guest_test*.sh of this folder share: a bundle in a tmpfs of its own (/run and /tmp allow no devices) from the
# machine's own BusyBox, which must be static, and tests that print TAP.
#
#   . ./guest_test_common/bundle.sh    with the runtime to test in $1, else the machine's
#   test_that "claim" function
#   tests_end

oci=${1:-sampan-oci}
dir=/run/oci-guest-test
bundle=$dir/bundle
root=$dir/state
cgroups=/sys/fs/cgroup/containers
tests=0
failures=0

# test NAME COMMAND…: one line of TAP; what the command printed is the reason
test_that() {
	name=$1
	shift
	tests=$((tests + 1))
	if why=$("$@" 2>&1); then
		echo "ok $tests - $name"
	else
		failures=$((failures + 1))
		echo "not ok $tests - $name: $(echo "$why" | tail -n 3 | tr '\n' ' ')"
	fi
	"$oci" --root $root delete --force c
}

# config RESOURCES NAMESPACES WORD…: writes config.json, the words are the program
config() {
	resources=$1
	namespaces=$2
	shift 2
	args=
	for word in "$@"; do
		args="$args${args:+,}\"$word\""
	done
	cat >$bundle/config.json <<END
{"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "hostname": "guest",
 "process": {"cwd": "/", "args": [$args], "env": ["PATH=/bin"],
  "capabilities": {"bounding": ["CAP_MKNOD", "CAP_KILL"], "permitted": ["CAP_MKNOD", "CAP_KILL"],
   "effective": ["CAP_MKNOD", "CAP_KILL"]}},
 "mounts": [
  {"destination": "/proc", "type": "proc", "source": "proc"},
  {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
  {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
   "options": ["newinstance", "ptmxmode=0666", "mode=0620"]},
  {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}],
 "linux": {"resources": {$resources},
  "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"},
   {"type": "cgroup"}$namespaces]}}
END
}

run() {
	"$oci" --root $root run --bundle $bundle c </dev/null
}

create() {
	"$oci" --root $root create --bundle $bundle c </dev/null >$dir/out 2>$dir/err || {
		cat $dir/err
		return 1
	}
}

start() {
	create && "$oci" --root $root start c
}

# refused MESSAGE COMMAND…: it fails, and says that
refused() {
	message=$1
	shift
	if "$@" 2>$dir/err; then
		echo "was not refused"
		return 1
	fi
	grep -q "$message" $dir/err || {
		cat $dir/err
		return 1
	}
}

# expect FILE TEXT: a file of the container's cgroup
expect() {
	seen=$(cat "$cgroups/c/$1")
	[ "$seen" = "$2" ] || {
		echo "$1 is \"$seen\", expected \"$2\""
		return 1
	}
}

mkdir -p $dir && mount -t tmpfs -o mode=755 tmpfs $dir || exit 1
mkdir -p $bundle/rootfs/bin
for busybox in /bin/busybox /usr/bin/busybox; do
	[ ! -x $busybox ] || cp $busybox $bundle/rootfs/bin/busybox
done
for name in sh cat dd echo ls mknod rm sleep true; do
	ln -s busybox $bundle/rootfs/bin/$name
done
chmod 755 $dir $bundle $bundle/rootfs

# tests_end: the last line of TAP; the status is the script's
tests_end() {
	umount $dir && rmdir $dir
	echo "1..$tests"
	[ $failures = 0 ]
}
