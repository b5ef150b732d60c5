#!/bin/sh
# An ordinary user's cgroups, and a container inside a privileged one: inside a machine on cgroup v2, as root by BusyBox
# ash; prints TAP.
#
#   guest_test_rootless.sh [RUNTIME]

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

id=4242
delegated=/sys/fs/cgroup/oci-test-user
lonely=/sys/fs/cgroup/oci-test-lonely
map="[{\"containerID\": 0, \"hostID\": $id, \"size\": 1}]"
in_user=", {\"type\": \"user\"}], \"uidMappings\": $map, \"gidMappings\": ${map%]}"

# delegate CGROUP: what cgroup-v2.rst has the user own of it
delegate() {
	mkdir -p "$1" && chown $id "$1" "$1/cgroup.procs" "$1/cgroup.threads" "$1/cgroup.subtree_control"
}

# user CGROUP WORD…: the runtime as an ordinary user whose process is in CGROUP
user() {
	cgroup=$1
	shift
	# shellcheck disable=SC2016 # the inner shell expands it
	sh -c 'echo $$ >$1/cgroup.procs && shift && exec nsenter -S 4242 -G 4242 "$@"' sh "$cgroup" \
		"$oci" --root $dir/user "$@" </dev/null
}

# says TEXT COMMAND…: what it prints has TEXT in it
says() {
	text=$1
	shift
	out=$("$@" 2>&1)
	case $out in
	*"$text"*) return 0 ;;
	esac
	echo "$out"
	return 1
}

a_users_limits_hold() {
	config '"memory": {"limit": 33554432}, "pids": {"limit": 20}' "$in_user" cat \
		/sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
	out=$(user $delegated/shell run --bundle $bundle c) || return 1
	echo "$out"
	[ "$out" = "33554432
20" ] && [ ! -e $delegated/containers/c ]
}

a_users_container_lives_in_its_cgroup() {
	config '' "$in_user" sh -c 'sleep 1000 & sleep 1001 & wait'
	if ! user $delegated/shell create --bundle $bundle c >$dir/out 2>&1 || ! user $delegated/shell start c; then
		cat $dir/out
		return 1
	fi
	[ -d $delegated/containers/c ] || return 1
	says 0::/ user $delegated/shell exec c cat /proc/self/cgroup || return 1
	n=0
	until [ "$(user $delegated/shell ps c | wc -l)" = 4 ]; do
		n=$((n + 1))
		[ $n -lt 1000 ] || return 1
	done
	user $delegated/shell pause c && says '"paused"' user $delegated/shell state c &&
		user $delegated/shell resume c && user $delegated/shell kill --all c KILL || return 1
	while grep -q 'populated 1' $delegated/containers/c/cgroup.events; do
		n=$((n + 1))
		[ $n -lt 100000 ] || return 1
	done
	user $delegated/shell delete c && [ ! -e $delegated/containers/c ]
}

his_own_cgroup_is_used_when_nothing_else_is_his() {
	config '' "$in_user" cat /proc/self/cgroup
	says 0::/ user $lonely/session run --bundle $bundle c && [ -d $lonely/session/containers ]
}

a_cgroup_with_processes_has_no_limits_to_give() {
	config '"memory": {"limit": 33554432}' "$in_user" true
	says "linux.resources.memory: cgroup /oci-test-lonely/session/ hands no controllers down while it holds processes" \
		user $lonely/session run --bundle $bundle c
}

without_delegation_limits_are_refused() {
	mkdir -p $lonely/other
	config '"pids": {"limit": 20}' "$in_user" true
	says "linux.resources.pids.limit: there is no cgroup v2 that this user may write to" \
		user $lonely/other run --bundle $bundle c || return 1
	config '' "$in_user" echo ran
	says ran user $lonely/other run --bundle $bundle c
}

# nested RESOURCES INNER OUTER: scripts; the outer one in a container that may do what root may, with the runtime inside
nested() {
	config "$1" '' sh -c "$2"
	mv $bundle/config.json $bundle/rootfs/inner/
	config '' '' sh -c "$3"
	all='["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL"]'
	sed -i -e 's/"options": \["ro"\]/"options": ["rw"]/' -e 's/"effective": \[[^]]*\]/"effective": '"$all"'/' \
		-e 's/"capabilities".*/"capabilities": {"bounding": '"$all"', "permitted": '"$all"',/' $bundle/config.json
	run
}

a_container_in_a_container_runs() {
	says "0::/
ran
containers" nested '' 'cat /proc/self/cgroup; echo x >/dev/null && echo ran' \
		'sampan-oci run --bundle /inner i 2>&1; cd /sys/fs/cgroup && ls -d containers'
}

limits_inside_take_a_cgroup_without_processes() {
	limit='"memory": {"limit": 33554432}'
	says "linux.resources.memory: cgroup / hands no controllers down while it holds processes" \
		nested "$limit" true 'sampan-oci run --bundle /inner i 2>&1' || return 1
	# shellcheck disable=SC2016 # the container's shell expands it
	says 33554432 nested "$limit" 'cat /sys/fs/cgroup/memory.max' \
		'busybox mkdir /sys/fs/cgroup/init && echo $$ >/sys/fs/cgroup/init/cgroup.procs && sampan-oci run --bundle /inner i 2>&1'
}

delegate $delegated && delegate $delegated/shell && mkdir -p $lonely && delegate $lonely/session || exit 1
echo '+memory +pids' >$lonely/cgroup.subtree_control
mkdir -p $bundle/rootfs/inner/rootfs/bin $bundle/rootfs/run &&
	cp -a $bundle/rootfs/bin/. $bundle/rootfs/inner/rootfs/bin/ &&
	cp "$(command -v "$oci")" $bundle/rootfs/bin/sampan-oci || exit 1
mkdir $dir/user && chown $id $dir/user && chown -R $id $bundle || exit 1

test_that "a user's limits hold in the cgroup that is his" a_users_limits_hold
test_that "a user's container lives in its cgroup" a_users_container_lives_in_its_cgroup
test_that "a user's own cgroup is used when nothing else is his" his_own_cgroup_is_used_when_nothing_else_is_his
test_that "a cgroup with processes is told to give no limits" a_cgroup_with_processes_has_no_limits_to_give
test_that "a user without cgroups runs what needs none" without_delegation_limits_are_refused
test_that "a container in a privileged container runs" a_container_in_a_container_runs
test_that "limits inside take a cgroup without processes" limits_inside_take_a_cgroup_without_processes
for cgroup in $delegated/containers $delegated/shell $delegated $lonely/session/containers $lonely/session $lonely/other \
	$lonely; do
	[ ! -d "$cgroup" ] || rmdir "$cgroup"
done
tests_end
