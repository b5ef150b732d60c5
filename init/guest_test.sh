#!/bin/sh
# init as PID 1, seen from inside the machine. Prints TAP.

count=0

# ok CLAIM COMMAND…: the claim holds if the command succeeds
ok() {
	claim=$1
	shift
	count=$((count + 1))
	if output=$("$@" 2>&1); then
		echo "ok $count - $claim"
	else
		echo "not ok $count - $claim"
		echo "$output" | sed 's/^/# /'
	fi
}

state_of() {
	sampan status "$1" | awk 'NR == 2 { print $2 }'
}

web_pid() {
	sampan status web | awk 'NR == 2 { print $3 }'
}

is() {
	[ "$1" = "$2" ] || {
		echo "is '$1', should be '$2'"
		return 1
	}
}

at_most() {
	[ "$1" -le "$2" ] || {
		echo "is $1, should be at most $2"
		return 1
	}
}

survives_signals() {
	for signal in $(seq 1 64); do
		case $signal in
		2 | 10 | 12 | 15 | 30) ;; # these mean the end of the machine: docs/init.md
		32 | 33) ;;               # a C library's own
		*) kill -"$signal" 1 || return 1 ;;
		esac
	done
	is "$(state_of web)" up
}

anonymous_memory() {
	at_most "$(awk '/^RssAnon/ { print $2 }' /proc/1/status)" 512
}

child_of_init_has_plain_limits() {
	pid=$(web_pid)
	is "$(cat "/proc/$pid/oom_score_adj")" 0 || return 1
	is "$(awk '/^Max open files/ { print $4, $5 }' "/proc/$pid/limits")" "1024 524288" || return 1
	is "$(awk '/^SigBlk/ { print $2 }' "/proc/$pid/status")" 0000000000000000
}

# What a stop leaves: no mount, no loop device, no process, no cgroup.
stop_leaves_nothing() {
	sampan stop web || return 1
	is "$(state_of web)" down || return 1
	is "$(grep -c /containers/web /proc/mounts)" 0 || return 1
	is "$(cat /sys/block/loop*/loop/backing_file 2>/dev/null)" "" || return 1
	[ ! -e /sys/fs/cgroup/containers/web ] || return 1
	[ ! -e /run/sampan-oci/web ]
}

start_makes_it_serve() {
	sampan start web || return 1
	is "$(state_of web)" up || return 1
	tries=0
	until wget -q -O - http://127.0.0.1/ | grep -q Sampan; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || return 1
	done
}

# A bomb in the group of a service takes all process numbers that services have together.
fork_bomb_in_a_service() {
	group=/sys/fs/cgroup/services/bomb
	limit=$(cat /sys/fs/cgroup/services/pids.max)
	mkdir "$group" || return 1
	# one shell that puts itself there, and then doubles for ever
	sh -c "echo \$\$ >$group/cgroup.procs; b() { b | b & wait; }; b" 2>/dev/null >/dev/null &
	until [ "$(cat /sys/fs/cgroup/services/pids.current)" -ge $((limit - 10)) ]; do :; done
	# Containers have their own share, so one can be restarted right now.
	before=$(web_pid)
	sampan status >/dev/null
	answered=$?
	echo 1 >$group/cgroup.kill
	until rmdir "$group" 2>/dev/null; do :; done
	is "$answered" 0 || return 1
	is "$(web_pid)" "$before" || return 1
	sampan restart web
}

ok "PID 1 ignores every signal but those that end the machine" survives_signals
ok "PID 1 uses at most 512 kB of memory of its own" anonymous_memory
ok "PID 1's memory is protected" is "$(cat /sys/fs/cgroup/init/memory.min)" 2097152
ok "PID 1 is alone in its cgroup" is "$(cat /sys/fs/cgroup/init/cgroup.procs)" 1
ok "what PID 1 starts has not its privileges" child_of_init_has_plain_limits
ok "the root is a mount that pivot_root accepts" is "$(awk '$5 == "/" { n++ } END { print n }' /proc/1/mountinfo)" 1
ok "loopback is up" ping -c 1 127.0.0.1
ok "a stopped container leaves nothing behind" stop_leaves_nothing
ok "it can be started again" start_makes_it_serve
# out of the services' share, which this script has by ssh, and which will be used up
echo $$ >/sys/fs/cgroup/init/cgroup.procs
ok "a fork bomb in a service stops neither init nor containers" fork_bomb_in_a_service
ok "no child of PID 1 is a zombie" is "$(awk '$3 == "Z"' /proc/[0-9]*/stat 2>/dev/null)" ""
echo "1..$count"
