#!/bin/sh
# What linux.resources writes, controller by controller: inside a machine on cgroup v2, as root by BusyBox ash; prints TAP.
#
#   guest_test_limits.sh [RUNTIME]

# shellcheck source=runtime/oci/guest_test_common/bundle.sh
. ./guest_test_common/bundle.sh

cpu_has_burst_and_period() {
	config '"cpu": {"quota": 40000, "period": 50000, "burst": 7000, "cpus": "0", "mems": "0"}' '' sleep 1000
	create || return 1
	expect cpu.max '40000 50000' && expect cpu.max.burst 7000 && expect cpuset.cpus 0 && expect cpuset.mems 0
}

cpu_may_be_idle() {
	config '"cpu": {"idle": 1, "shares": 2048}' '' sleep 1000
	create && expect cpu.idle 1
}

memory_through_unified() {
	config '"unified": {"memory.low": "1M", "memory.high": "24M", "memory.max": "32M", "memory.oom.group": "1"}' '' \
		sleep 1000
	create || return 1
	expect memory.low 1048576 && expect memory.high 25165824 && expect memory.max 33554432 &&
		expect memory.oom.group 1
}

swap_is_what_is_over_memory() {
	config '"memory": {"limit": 33554432, "swap": 50331648}' '' sleep 1000
	create || return 1
	# A kernel without swap has no file, and nothing to limit.
	[ ! -e $cgroups/c/memory.swap.max ] || expect memory.swap.max 16777216
}

pids_without_limit() {
	config '"pids": {"limit": -1}' '' sleep 1000
	create && expect pids.max max
}

# The machine may have no disk: the number of a loop device, which comes up when it is asked for.
disk() {
	loop=$(losetup -f) && cat "/sys/block/${loop##*/}/dev"
}

io_is_weighed_and_throttled() {
	d=$(disk) || return 1
	device="\"major\": ${d%:*}, \"minor\": ${d#*:}"
	config "\"blockIO\": {\"weight\": 500,
		\"throttleReadBpsDevice\": [{$device, \"rate\": 1048576}],
		\"throttleWriteBpsDevice\": [{$device, \"rate\": 0}],
		\"throttleReadIOPSDevice\": [{$device, \"rate\": 100}],
		\"throttleWriteIOPSDevice\": [{$device, \"rate\": 200}]}" '' sleep 1000
	create || return 1
	expect io.weight 'default 4950' && expect io.max "$d rbps=1048576 wbps=max riops=100 wiops=200"
}

a_disk_that_is_not_there_is_refused() {
	config '"blockIO": {"throttleReadBpsDevice": [{"major": 240, "minor": 99, "rate": 5}]}' '' sleep 1000
	refused 'linux.resources.blockIO.throttleReadBpsDevice: write "240:99 rbps=5" to io.max: No such device' create
}

huge_pages_are_limited_twice() {
	config '"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]' '' sleep 1000
	create || return 1
	expect hugetlb.2MB.max 4194304 && expect hugetlb.2MB.rsvd.max 4194304
}

a_page_size_that_is_not_there_is_refused() {
	config '"hugepageLimits": [{"pageSize": "3MB", "limit": 0}]' '' sleep 1000
	refused 'linux.resources.hugepageLimits: the cgroup has no hugetlb.3MB.max' create
}

a_controller_that_is_not_there_is_refused() {
	grep -q rdma /sys/fs/cgroup/cgroup.controllers && {
		echo "this kernel has rdma"
		return 1
	}
	config '"rdma": {"mlx5_1": {"hcaHandles": 3}}' '' sleep 1000
	refused 'linux.resources.rdma: ' create
}

a_wrong_value_is_refused() {
	config '"unified": {"memory.high": "many"}' '' sleep 1000
	refused 'linux.resources.unified.memory.high: write "many" to memory.high: Invalid argument' create || return 1
	[ ! -e $cgroups/c ]
}

test_that "cpu has quota, period, burst, cpus and mems" cpu_has_burst_and_period
test_that "cpu may be idle" cpu_may_be_idle
test_that "memory is limited through unified" memory_through_unified
test_that "swap is what is over memory" swap_is_what_is_over_memory
test_that "pids may be without limit" pids_without_limit
test_that "io is weighed and throttled" io_is_weighed_and_throttled
test_that "a disk that is not there is refused" a_disk_that_is_not_there_is_refused
test_that "huge pages are limited, and their reservation" huge_pages_are_limited_twice
test_that "a page size that is not there is refused" a_page_size_that_is_not_there_is_refused
test_that "a controller that is not there is refused" a_controller_that_is_not_there_is_refused
test_that "a wrong value is refused" a_wrong_value_is_refused
tests_end
