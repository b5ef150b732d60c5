/*
 * The device rules of a container as an eBPF program, a pure function.
 *
 * For each of read, write and mknod that a process asks for, the last rule that covers the device
 * and that access decides; what no rule covers is denied. That is what a list of writes to
 * devices.allow and devices.deny of cgroup v1 meant.
 * Source: OCI config-linux.md "Allowed Device list"; kernel admin-guide/cgroup-v2.rst "Device
 * controller"; linux/bpf.h struct bpf_cgroup_dev_ctx.
 */
#ifndef SAMPAN_OCI_DEVICE_RULES_H
#define SAMPAN_OCI_DEVICE_RULES_H

#include "runtime/oci/config.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

/* instructions of one rule, and of the program's head and end */
#define DEVICE_INSNS_PER_RULE 7
#define DEVICE_INSNS_FIXED 8

/*
 * Compile the @n rules of the configuration followed by the devices every container has.
 * @insns: filled; room for device_rules_insns_max(n)
 * Returns the number of instructions; 0 if the rules allow everything, so that no program is
 * needed.
 */
size_t device_rules_compile(
	const struct config_device_rule *rules, size_t n, struct bpf_insn *insns);

size_t device_rules_insns_max(size_t n);

#endif
