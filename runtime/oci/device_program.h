/*
 * The device rules of a container as a program in the kernel.
 *
 * To load one, the kernel verifies and translates it, which costs more than anything else the
 * runtime asks for but the network namespace. Containers with equal rules therefore share one,
 * pinned below /sys/fs/bpf under a name that says the rules. Where nothing can be pinned, every
 * container has its own.
 */
#ifndef SAMPAN_OCI_DEVICE_PROGRAM_H
#define SAMPAN_OCI_DEVICE_PROGRAM_H

#include "runtime/oci/device_rules.h"

/* By this name a program is known as ours among others on one cgroup (BPF_OBJ_NAME_LEN). */
#define DEVICE_PROGRAM_NAME "sampan_devices"

/* bytes of a pin's name: NAME_MAX of bpffs, terminated */
#define DEVICE_PIN_BYTES_MAX 256

/* bpf(2). Returns what it returns, or -errno. */
int device_bpf(enum bpf_cmd cmd, union bpf_attr *attr);

/*
 * Open the program for the @n rules at @rules.
 * Returns a descriptor; -ENODATA if the rules allow everything, so that none is needed; -errno.
 */
int device_program_open(const struct config_device_rule *rules, size_t n);

/*
 * The name under which the program @insns of the rules @rules is pinned: equal only for equal rules
 * compiled in the same way.
 * Returns 0, or -ENAMETOOLONG: such a program is not shared.
 */
int device_pin_name(const struct config_device_rule *rules, size_t n, const struct bpf_insn *insns,
	size_t n_insns, char buf[static DEVICE_PIN_BYTES_MAX]);

#endif
