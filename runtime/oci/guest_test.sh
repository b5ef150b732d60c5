#!/bin/sh
# What needs a machine on cgroup v2, run inside it as root by BusyBox ash; prints TAP.
#
#   guest_test.sh [RUNTIME]

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

limits_are_written() {
	config '"memory": {"limit": 33554432, "reservation": 16777216},
		"cpu": {"shares": 2048, "quota": 50000, "period": 100000},
		"pids": {"limit": 20}, "unified": {"memory.high": "30M"}' '' sleep 1000
	create || return 1
	expect memory.max 33554432 && expect memory.low 16777216 && expect cpu.weight 79 &&
		expect cpu.max '50000 100000' && expect pids.max 20 && expect memory.high 31457280
}

memory_is_limited() {
	config '"memory": {"limit": 8388608}' '' sh -c \
		'dd if=/dev/zero of=/dev/null bs=64M count=1; echo dd: $?'
	out=$(run 2>&1)
	case $out in
	*"dd: 137"*) return 0 ;;
	esac
	echo "$out"
	return 1
}

processes_are_limited() {
	config '"pids": {"limit": 4}' '' sh -c \
		'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo survived'
	out=$(run 2>&1)
	case $out in
	*"can't fork"*) return 0 ;;
	esac
	echo "$out"
	return 1
}

# shellcheck disable=SC2016 # the container's shell expands it
devices_are_filtered() {
	# 10:237 is loop-control, which every machine that mounts images has.
	config '"devices": [{"allow": false, "access": "rwm"},
		{"allow": true, "type": "c", "major": 10, "minor": 237, "access": "r"}]' '' sh -c \
		'mknod /m c 1 4 && ! cat /m && mknod /k c 10 237 && (: </k) && ! (: >/k); r=$?; rm -f /m /k; : </dev/zero && exit $r'
	out=$(run 2>&1) || {
		echo "$out"
		return 1
	}
	case $out in
	*"not permitted"*) return 0 ;;
	esac
	echo "$out"
	return 1
}

# how many device programs are pinned
count_programs() {
	set -- /sys/fs/bpf/sampan-oci/*
	echo $#
}

# shellcheck disable=SC2016 # the container's shell expands it
equal_device_rules_share_a_program() {
	devices_are_filtered || return 1
	[ -e /sys/fs/bpf/sampan-oci ] || return 1
	before=$(count_programs)
	devices_are_filtered && [ "$(count_programs)" = "$before" ] || return 1
	config '"devices": [{"allow": false, "access": "rwm"},
		{"allow": true, "type": "c", "major": 10, "minor": 237, "access": "w"}]' '' sh -c \
		'mknod /k c 10 237 && ! (: </k) && (: >/k); r=$?; rm -f /k; exit $r'
	run && [ "$(count_programs)" = $((before + 1)) ]
}

# shellcheck disable=SC2016 # the container's shell expands it
everything_is_allowed_when_asked() {
	config '"devices": [{"allow": true, "access": "rwm"}]' '' sh -c \
		'mknod /k c 10 237 && : </k; r=$?; rm -f /k; exit $r'
	run
}

it_lives_in_its_cgroup() {
	config '' '' sh -c 'cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.procs'
	[ "$(run)" = "0::/
/sys/fs/cgroup/cgroup.procs" ] || return 1
	[ ! -e $cgroups/c ]
}

exec_enters_the_cgroup() {
	config '"pids": {"limit": 20}' '' sleep 1000
	start || return 1
	"$oci" --root $root exec c cat /proc/self/cgroup | grep -qx '0::/' || return 1
	"$oci" --root $root exec c cat /sys/fs/cgroup/pids.max | grep -qx 20
}

kill_all_reaches_every_process() {
	config '' '' sh -c 'sleep 1000 & sleep 1001 & sleep 1002'
	start || return 1
	"$oci" --root $root kill --all c KILL
	n=0
	while grep -q 'populated 1' $cgroups/c/cgroup.events; do
		n=$((n + 1))
		[ $n -lt 100000 ] || return 1
	done
	"$oci" --root $root delete c && [ ! -e $cgroups/c ]
}

a_paused_container_says_so() {
	config '' '' sleep 1000
	start && "$oci" --root $root pause c || return 1
	"$oci" --root $root state c | grep -q '"status": "paused"' || return 1
	"$oci" --root $root resume c
	"$oci" --root $root state c | grep -q '"status": "running"'
}

ps_lists_the_cgroup() {
	config '' '' sh -c 'sleep 1000 & sleep 1001 & wait'
	start || return 1
	n=0
	until [ "$("$oci" --root $root ps c | wc -l)" = 4 ]; do
		n=$((n + 1))
		[ $n -lt 1000 ] || return 1
	done
}

cgroups_made_inside_are_removed() {
	config '' '' sleep 1000
	start || return 1
	mkdir -p $cgroups/c/a/b && "$oci" --root $root delete --force c || return 1
	[ ! -e $cgroups/c ]
}

user_namespace_works() {
	config '' ', {"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 100000,
		"size": 1000}], "gidMappings": [{"containerID": 0, "hostID": 100000,
		"size": 1000}' sh -c 'cat /proc/self/uid_map; echo x >/dev/null && : </dev/zero'
	out=$(run 2>&1) || {
		echo "$out"
		return 1
	}
	echo "$out"
	echo "$out" | grep -q 100000
}

limits_above_the_callers() {
	config '' ', {"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 100000,
		"size": 1000}], "gidMappings": [{"containerID": 0, "hostID": 100000,
		"size": 1000}' sh -c 'ulimit -Sn; ulimit -Hn'
	sed -i 's/"cwd"/"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 2000}], "cwd"/' \
		$bundle/config.json
	# shellcheck disable=SC3045 # BusyBox has it
	out=$(ulimit -n 1000 && run 2>&1)
	echo "$out"
	[ "$out" = "100
2000" ]
}

network_namespace_has_only_lo() {
	config '' ', {"type": "network"}' sh -c 'cat /proc/net/dev'
	out=$(run 2>&1)
	echo "$out"
	echo "$out" | grep -q 'lo:' && [ "$(echo "$out" | grep -c :)" = 1 ]
}

a_busy_cgroup_is_refused() {
	mkdir -p $cgroups/c
	sleep 1000 &
	echo $! >$cgroups/c/cgroup.procs
	config '' '' true
	run 2>$dir/err
	status=$?
	kill $!
	wait $! 2>/dev/null
	n=0
	until rmdir $cgroups/c 2>/dev/null; do
		n=$((n + 1))
		[ $n -lt 1000 ] || return 1
	done
	[ $status = 1 ] && grep -q 'linux.cgroupsPath: /containers/c already holds' $dir/err
}

test_that "limits are written to the cgroup" limits_are_written
test_that "memory is limited" memory_is_limited
test_that "processes are limited" processes_are_limited
test_that "devices are filtered" devices_are_filtered
test_that "equal device rules share a program, others do not" equal_device_rules_share_a_program
test_that "every device is allowed when asked" everything_is_allowed_when_asked
test_that "the container lives in its cgroup, which goes with it" it_lives_in_its_cgroup
test_that "exec enters the cgroup" exec_enters_the_cgroup
test_that "kill --all reaches every process" kill_all_reaches_every_process
test_that "a paused container says so" a_paused_container_says_so
test_that "ps lists the cgroup" ps_lists_the_cgroup
test_that "cgroups made inside are removed" cgroups_made_inside_are_removed
test_that "a user namespace works" user_namespace_works
test_that "limits in a user namespace may be above the caller's" limits_above_the_callers
test_that "a network namespace has only lo" network_namespace_has_only_lo
test_that "a cgroup with processes is refused" a_busy_cgroup_is_refused
tests_end
