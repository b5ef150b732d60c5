#!/bin/sh
# update and events where there are controllers: inside a machine on cgroup v2, as root by BusyBox ash; prints TAP.
#
#   guest_test_update.sh [RUNTIME]

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

update() {
	"$oci" --root $root update "$@"
}

# update_with JSON: linux.resources through standard input
update_with() {
	echo "$1" | update --resources - c
}

every_option_reaches_its_file() {
	config '' '' sleep 1000
	start || return 1
	update c --memory 64M --memory-swap 100m --memory-reservation 32MiB --pids-limit 50 --cpu-share 2048 \
		--cpu-period 50000 --cpu-quota 25000 --cpu-burst 5000 --cpuset-cpus 0 --cpuset-mems 0 \
		--blkio-weight 500 || return 1
	expect memory.max 67108864 && expect memory.low 33554432 && expect pids.max 50 && expect cpu.weight 79 &&
		expect cpu.max '25000 50000' && expect cpu.max.burst 5000 && expect cpuset.cpus 0 &&
		expect cpuset.mems 0 && expect io.weight 'default 4950' || return 1
	[ ! -e $cgroups/c/memory.swap.max ] || expect memory.swap.max 37748736
}

options_are_merged() {
	config '"cpu": {"quota": 20000, "period": 100000, "shares": 2048}, "memory": {"limit": 33554432}' '' sleep 1000
	start && update --cpu-period 50000 c && expect cpu.max '20000 50000' || return 1
	update --cpu-quota 30000 c && expect cpu.max '30000 50000' && expect cpu.weight 79 || return 1
	update --memory-reservation 1M c && expect memory.max 33554432 && expect memory.low 1048576 || return 1
	update --memory 48M c && expect memory.max 50331648 && expect memory.low 1048576
}

limits_are_taken_off() {
	config '"cpu": {"quota": 20000}, "memory": {"limit": 33554432}, "pids": {"limit": 9}' '' sleep 1000
	start && update --cpu-quota -1 --memory -1 --pids-limit -1 c || return 1
	expect cpu.max 'max 100000' && expect memory.max max && expect pids.max max
}

idle_comes_and_goes() {
	config '"cpu": {"shares": 2048}' '' sleep 1000
	start && update --cpu-idle 1 c && expect cpu.idle 1 || return 1
	update --cpu-idle 0 c && expect cpu.idle 0 && expect cpu.weight 79
}

burst_and_quota_shrink_together() {
	config '"cpu": {"quota": 80000, "burst": 60000}' '' sleep 1000
	start && update --cpu-quota 20000 --cpu-burst 10000 c || return 1
	expect cpu.max '20000 100000' && expect cpu.max.burst 10000 || return 1
	update --cpu-quota 90000 --cpu-burst 70000 c && expect cpu.max.burst 70000
}

resources_come_as_json() {
	config '' '' sleep 1000
	start && update_with '{"memory": {"limit": 67108864}, "cpu": {"shares": 0, "cpus": ""}, "pids": {"limit": 7},
		"unified": {"memory.high": "30M"}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}' || return 1
	expect memory.max 67108864 && expect pids.max 7 && expect memory.high 31457280 && expect cpu.weight 100 &&
		expect hugetlb.2MB.max 4194304
}

usage_is_checked_before() {
	config '"memory": {"limit": 67108864}' '' sleep 1000
	start && refused 'linux.resources.memory.limit: 4096 is not above the .* bytes in use' \
		update_with '{"memory": {"limit": 4096, "checkBeforeUpdate": true}}' || return 1
	expect memory.max 67108864
}

half_an_update_is_none() {
	config '"memory": {"limit": 67108864}' '' sleep 1000
	start && refused 'linux.resources.cpu.cpus: write "4000" to cpuset.cpus' \
		update --memory 32M --cpuset-cpus 4000 c || return 1
	expect memory.max 67108864 && ! grep -q 33554432 $root/c/config.json
}

# can_read_tun: the rules' device, by a node of the container's own
can_read_tun() {
	"$oci" --root $root exec c sh -c ': </dev/net_tun' 2>/dev/null
}

devices_are_replaced() {
	config '"devices": [{"allow": false, "access": "rwm"}]' '' sleep 1000
	start || return 1
	"$oci" --root $root exec c mknod /dev/net_tun c 10 200 && ! can_read_tun || return 1
	rules='{"devices": [{"allow": false, "access": "rwm"},
		{"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}]}'
	# Twice: the program of equal rules may be the very one that is there.
	update_with "$rules" && can_read_tun && update_with "$rules" && can_read_tun || return 1
	update_with '{"devices": [{"allow": false, "access": "rwm"}]}' && ! can_read_tun
}

# wait_line FILE WORD: until an events process has written it
wait_line() {
	n=0
	until grep -q "$2" "$1"; do
		n=$((n + 1))
		[ $n -lt 100000 ] || return 1
	done
}

stats_are_counted() {
	config '"memory": {"limit": 67108864}, "pids": {"limit": 9}' '' sleep 1000
	start && "$oci" --root $root events --stats c >$dir/events || return 1
	for part in '"type":"stats","id":"c","data":{"cpu":{"usage":{"total":[1-9]' '"usage":{"limit":67108864,"usage":[1-9]' \
		'"raw":{"anon":[1-9]' '"event_count":{"low":0,' '"pids":{"current":1,"limit":9}' '"cpus":\[0' \
		'"psi":{"some":{"avg10":0.00' '"hugetlb":{"2MB":{"usage":0,"failcnt":0}'; do
		grep -q "$part" $dir/events || {
			echo "no $part in $(cat $dir/events)"
			return 1
		}
	done
}

# watches PID: its timer is the last thing that events opens before it waits
watches() {
	for fd in /proc/"$1"/fd/*; do
		case $(readlink "$fd") in
		*timerfd*) return 0 ;;
		esac
	done
	return 1
}

oom_is_told_once() {
	config '"memory": {"limit": 8388608}' '' sh -c 'read line </go; dd if=/dev/zero of=/dev/null bs=64M count=1; sleep 1000'
	"$bundle"/rootfs/bin/busybox mknod $bundle/rootfs/go p || return 1
	start || return 1
	"$oci" --root $root events --interval 60s c >$dir/events &
	events=$!
	n=0
	until watches $events; do
		n=$((n + 1))
		[ $n -lt 100000 ] || return 1
	done
	echo go >$bundle/rootfs/go
	wait_line $dir/events oom || return 1
	"$oci" --root $root kill c KILL
	wait $events || return 1
	rm $bundle/rootfs/go
	cat $dir/events
	[ "$(cat $dir/events)" = '{"type":"oom","id":"c"}' ]
}

test_that "every option of update reaches its file" every_option_reaches_its_file
test_that "update keeps the limits that it is not told" options_are_merged
test_that "update takes limits off" limits_are_taken_off
test_that "a container can be made idle and busy again" idle_comes_and_goes
test_that "burst and quota shrink and grow together" burst_and_quota_shrink_together
test_that "update reads JSON" resources_come_as_json
test_that "checkBeforeUpdate looks at what is in use" usage_is_checked_before
test_that "half an update is none" half_an_update_is_none
test_that "device rules replace the filter, equal ones too" devices_are_replaced
test_that "events --stats tells what the controllers count" stats_are_counted
test_that "a process killed for memory is told once" oom_is_told_once
tests_end
