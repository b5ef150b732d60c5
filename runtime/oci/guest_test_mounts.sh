#!/bin/sh
# Mounts that depend on the machine: cgroup version 2 with its controllers, and what its own kernel can map and stack.
# Inside a machine, as root by BusyBox ash; prints TAP.
#
#   guest_test_mounts.sh [RUNTIME]

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

# The container sees the machine's cgroups and not only its own.
without_cgroup_namespace() {
	sed -i 's/{"type": "cgroup"}/{"type": "network"}/' $bundle/config.json
}

cgroups_writable() {
	sed -i 's/"options": \["ro"\]/"options": ["rw"]/' $bundle/config.json
}

# add_mount JSON: one mount more, behind the others
add_mount() {
	json=$(echo "$1" | tr -d '\n\t')
	sed -i "s|\"source\": \"cgroup\", \"options\": \[\"r.\"\]}|&, $json|" $bundle/config.json
}

# shellcheck disable=SC2016 # the container's shell expands it
SHOW='p=/sys/fs/cgroup$(sed -n s/0:://p /proc/self/cgroup) && echo $p && cat $p/pids.max && mkdir $p/new && rmdir $p/new &&
	echo writable'

# prints LINE…: the container's output
prints() {
	out=$(run 2>&1)
	want=$(printf '%s\n' "$@")
	echo "$out"
	[ "$out" = "$want" ]
}

script() {
	echo "$1" >$bundle/rootfs/script
	config '"pids": {"limit": 20}' '' sh /script
}

own_cgroups() {
	script "$SHOW"
	cgroups_writable
	prints /sys/fs/cgroup/ 20 writable
}

hosts_cgroups() {
	script "$SHOW"
	without_cgroup_namespace
	cgroups_writable
	prints /sys/fs/cgroup/containers/c 20 writable
}

hosts_cgroup_options() {
	before=$(grep cgroup2 /proc/mounts)
	echo "$before" | grep -q nsdelegate || {
		echo "no nsdelegate in $before"
		return 1
	}
	script 'true'
	without_cgroup_namespace
	run || return 1
	[ "$(grep cgroup2 /proc/mounts)" = "$before" ]
}

mapped_owners() {
	mkdir -p $dir/data && : >$dir/data/file && chown 5:6 $dir/data/file
	script 'stat -c %u:%g /data/file'
	add_mount "{\"destination\": \"/data\", \"source\": \"$dir/data\", \"options\": [\"bind\", \"idmap\"],
		\"uidMappings\": [{\"containerID\": 5, \"hostID\": 1000, \"size\": 1}],
		\"gidMappings\": [{\"containerID\": 6, \"hostID\": 1001, \"size\": 1}]}"
	prints 1000:1001
}

many_layers() {
	layers=
	n=0
	while [ $n -lt 20 ]; do
		mkdir -p "$dir/a-layer-with-a-long-name-$n"
		: >"$dir/a-layer-with-a-long-name-$n/f$n"
		layers="$layers${layers:+:}$dir/a-layer-with-a-long-name-$n"
		n=$((n + 1))
	done
	mkdir -p $dir/upper $dir/work
	script 'ls /o | wc -l; : >/o/new'
	add_mount "{\"destination\": \"/o\", \"type\": \"overlay\", \"source\": \"overlay\", \"options\": [
		\"lowerdir=$layers\", \"upperdir=$dir/upper\", \"workdir=$dir/work\"]}"
	prints 20 && [ -e $dir/upper/new ]
}

copied_up() {
	mkdir -p $bundle/rootfs/d && echo content >$bundle/rootfs/d/file && ln -sf /proc $bundle/rootfs/d/link
	script 'cat /d/file; readlink /d/link; echo changed >/d/file'
	add_mount '{"destination": "/d", "type": "tmpfs", "source": "t", "options": ["tmpcopyup", "size=64k"]}'
	prints content /proc && [ "$(cat $bundle/rootfs/d/file)" = content ]
}

for name in mkdir readlink rmdir sed stat wc; do
	ln -s busybox $bundle/rootfs/bin/$name
done
test_that "a container with a cgroup namespace may be given its own cgroups to write" own_cgroups
test_that "without one it sees the machine's at the path that it is told" hosts_cgroups
test_that "the options of the machine's cgroup mount stay" hosts_cgroup_options
test_that "owners are mapped on the machine's file systems" mapped_owners
test_that "an overlay may have more layers than one option holds" many_layers
test_that "a tmpfs starts with what the image has" copied_up
tests_end
