#!/bin/sh
# What fails where there are controllers: update, and what create, start and delete do with cgroups and device programs.
# Each kind of system call fails once; inside a machine on cgroup v2, as root by BusyBox ash; prints TAP.
#
#   guest_test_failure.sh [RUNTIME]
#
# test_failure_calls.py does the rest, on any machine.

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

boundary=./guest_test_failure/boundary
turn=0

# next_error: sets error to ENOSYS, EPERM and ENOMEM in turn
next_error() {
	turn=$((turn % 3 + 1))
	case $turn in
	1) error=38 ;;
	2) error=1 ;;
	3) error=12 ;;
	esac
}

# calls COMMAND…: traces it, and writes to calls the first call of each kind, as "ROLE N NUMBER TEXTS"
calls() {
	$boundary - - trace $dir/report "$oci" --root $root "$@" </dev/null >/dev/null || return 1
	awk '{
		texts = ""
		rest = $0
		while (match(rest, /"[^"]*"/)) {
			text = substr(rest, RSTART, RLENGTH)
			rest = substr(rest, RSTART + RLENGTH)
			gsub(/[0-9]+/, "N", text)
			texts = texts " " text
		}
		if (!(($1, $3, texts) in seen))
			print $1, $2, $3 texts
		seen[$1, $3, texts] = 1
	}' $dir/report >$dir/calls
	[ -s $dir/calls ]
}

# fail ROLE N COMMAND…: sets status; what it says is in err
fail() {
	role=$1
	n=$2
	shift 2
	next_error
	$boundary "$role" "$n" "fail=$error" $dir/report "$oci" --root $root "$@" </dev/null >/dev/null 2>$dir/err
	status=$?
}

# one_line: status 1 with one line, or the C library's own end while it starts (a signal, or 127)
one_line() {
	case $status in
	0) [ ! -s $dir/err ] ;;
	1) [ "$(wc -l <$dir/err)" = 1 ] && grep -q '^sampan-oci: [^:]*[a-z][a-z][a-z]' $dir/err ;;
	127 | 139) [ ! -s $dir/err ] && [ "$n" -le 2 ] ;;
	*) false ;;
	esac
}

# limits: all that update changes, as the kernel and the next update see it
limits() {
	for file in memory.max memory.low pids.max cpu.max cpu.weight cpuset.cpus.effective io.weight; do
		echo "$file $(cat $cgroups/c/$file)"
	done
	"$oci" --root $root exec c sh -c ': </dev/net_tun' 2>&1 && echo tun
	grep -o '"pids":{[^}]*}' $root/c/config.json
	ls $root/c
}

# as one line
show() {
	echo "$*" | tr '\n' ' '
}

nothing_is_left() {
	[ ! -e $cgroups/c ] && [ ! -e $root/c ] && [ "$(grep -c . /proc/self/mountinfo)" = "$mounts" ]
}

allowed='{"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}'
given='"memory": {"limit": 67108864}, "pids": {"limit": 9},
	"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 237, "access": "r"}]'

write_change() {
	echo '{"memory": {"limit": 50331648, "reservation": 1048576}, "pids": {"limit": 12}, "blockIO": {"weight": 500},
		"cpu": {"quota": 25000, "shares": 2048, "cpus": "0"},
		"devices": [{"allow": false, "access": "rwm"}, '"$allowed"']}' >$dir/change.json
}

# Half an update is none: whatever fails, all is as it was, or all is new.
each_call_of_update_fails() {
	write_change
	config "$given" '' sleep 1000
	start && "$oci" --root $root exec c mknod /dev/net_tun c 10 200 || return 1
	old=$(limits)
	calls update --resources $dir/change.json c || return 1
	new=$(limits)
	[ "$old" != "$new" ] && echo "$new" | grep -qx tun || return 1
	"$oci" --root $root delete --force c
	start && "$oci" --root $root exec c mknod /dev/net_tun c 10 200 || return 1
	failed=0
	while read -r role n number texts; do
		fail "$role" "$n" update --resources $dir/change.json c
		seen=$(limits)
		if ! one_line || { [ $status = 0 ] && [ "$seen" != "$new" ]; } || { [ $status != 0 ] && [ "$seen" != "$old" ]; }; then
			echo "call $n ($number $texts): error $error, status $status, $(cat $dir/err) $(show "$seen")"
			return 1
		fi
		[ $status != 0 ] && failed=$((failed + 1)) && continue
		"$oci" --root $root delete --force c
		start && "$oci" --root $root exec c mknod /dev/net_tun c 10 200 || return 1
	done <$dir/calls
	[ $failed -gt 30 ]
}

# Those of create that the host without controllers has not: about cgroups, and of bpf(2) (280 and 321).
each_call_of_create_for_the_cgroup_fails() {
	config "$given" '' sleep 1000
	calls create --bundle $bundle c || return 1
	"$oci" --root $root delete --force c
	rm -rf /sys/fs/bpf/sampan-oci
	grep -E '^[0-9]+ [0-9]+ (280|321)$|"(memory|pids|cpu|cgroup|N?containers|c|/sys/fs)[./a-zA-Z"]' $dir/calls >$dir/some
	failed=0
	while read -r role n number texts; do
		fail "$role" "$n" create --bundle $bundle c
		if ! one_line || { [ $status = 1 ] && ! nothing_is_left; }; then
			echo "call $n ($number $texts): error $error, status $status, $(cat $dir/err), $(ls -d $cgroups/c $root/c)"
			return 1
		fi
		[ $status = 0 ] || failed=$((failed + 1))
		"$oci" --root $root delete --force c && nothing_is_left || return 1
	done <$dir/some
	[ $failed -gt 10 ]
}

# each_call_fails COMMAND…: of a container that prepare made
each_call_fails() {
	prepare && calls "$@" || return 1
	"$oci" --root $root delete --force c
	failed=0
	while read -r role n number texts; do
		prepare || return 1
		fail "$role" "$n" "$@"
		one_line || {
			echo "call $n ($number $texts): error $error, status $status, $(cat $dir/err)"
			return 1
		}
		[ $status = 0 ] || failed=$((failed + 1))
		"$oci" --root $root delete --force c && nothing_is_left || return 1
	done <$dir/calls
	[ $failed -gt 5 ]
}

each_call_of_start_fails() {
	config "$given" '' sleep 1000
	prepare() {
		create
	}
	each_call_fails start c
}

each_call_of_delete_fails() {
	config "$given" '' sleep 1000
	prepare() {
		start
	}
	each_call_fails delete --force c
}

# What is made once and stays: the state's directory, the cgroup above the containers.
config '' '' true
run
mounts=$(grep -c . /proc/self/mountinfo)
test_that "each call of update fails, and half an update is none" each_call_of_update_fails
test_that "each call of create for the cgroup fails, and nothing is left" each_call_of_create_for_the_cgroup_fails
test_that "each call of start fails, and nothing is left" each_call_of_start_fails
test_that "each call of delete --force fails, and the next one leaves nothing" each_call_of_delete_fails
tests_end
