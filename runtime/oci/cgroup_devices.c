/* The device filter: one eBPF program on the container's cgroup. */
#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "runtime/oci/device_rules.h"

#include <stdlib.h>
#include <string.h>

/* By this name a program is known as ours among others on the same cgroup (BPF_OBJ_NAME_LEN). */
#define PROGRAM_NAME "sampan_devices"

/* programs on one cgroup: the kernel's limit, BPF_CGROUP_MAX_PROGS */
#define PROGRAMS_MAX 64

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int load_program(const struct bpf_insn *insns, size_t n)
{
	static const char license[] = "Apache-2.0";
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (__u32)n,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t)license,
		.prog_name = PROGRAM_NAME,
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

/* @old: the program whose place it takes in the same instant; -1: none */
static int attach_program(int cgroupfd, int progfd, int old)
{
	union bpf_attr attr = {
		.target_fd = (__u32)cgroupfd,
		.attach_bpf_fd = (__u32)progfd,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};

	if (old >= 0) {
		attr.attach_flags |= BPF_F_REPLACE;
		attr.replace_bpf_fd = (__u32)old;
	}
	return bpf(BPF_PROG_ATTACH, &attr);
}

static int detach_program(int cgroupfd, int progfd)
{
	union bpf_attr attr = {
		.target_fd = (__u32)cgroupfd,
		.attach_bpf_fd = (__u32)progfd,
		.attach_type = BPF_CGROUP_DEVICE,
	};

	return bpf(BPF_PROG_DETACH, &attr);
}

static bool is_ours(int progfd)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr = {.info = {.bpf_fd = (__u32)progfd,
				       .info_len = sizeof(info),
				       .info = (uintptr_t)&info}};

	return bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) == 0 && strcmp(info.name, PROGRAM_NAME) == 0;
}

/* Open our program among those of the cgroup. Returns a descriptor; -ENOENT if there is none. */
static int open_attached(int cgroupfd)
{
	__u32 ids[PROGRAMS_MAX];
	union bpf_attr query = {.query = {.target_fd = (__u32)cgroupfd,
					.attach_type = BPF_CGROUP_DEVICE,
					.prog_ids = (uintptr_t)ids,
					.prog_cnt = PROGRAMS_MAX}};
	int r = bpf(BPF_PROG_QUERY, &query);

	for (__u32 i = 0; r == 0 && i < query.query.prog_cnt; i++) {
		union bpf_attr attr = {.prog_id = ids[i]};
		AUTO_CLOSE int fd = bpf(BPF_PROG_GET_FD_BY_ID, &attr);

		if (fd >= 0 && is_ours(fd))
			return TAKE_FD(fd);
	}
	return r < 0 ? r : -ENOENT;
}

/* @replace: there may be one of ours already */
static int set_devices(
	int cgroupfd, const struct config_resources *res, bool replace, struct err *e)
{
	struct bpf_insn *insns =
		calloc(device_rules_insns_max(res->n_devices), sizeof(struct bpf_insn));
	AUTO_CLOSE int prog = -1;
	AUTO_CLOSE int old = -1;
	size_t n;
	int r = 0;

	if (!insns)
		return err_set(e, ENOMEM, "linux.resources.devices: out of memory");
	n = device_rules_compile(res->devices, res->n_devices, insns);
	if (replace) {
		old = open_attached(cgroupfd);
		r = old < 0 && old != -ENOENT ? old : 0;
	}
	if (r == 0 && n > 0) {
		prog = load_program(insns, n);
		r = prog < 0 ? prog : attach_program(cgroupfd, prog, old);
	} else if (r == 0 && old >= 0) {
		r = detach_program(cgroupfd, old);
	}
	free(insns);
	return r < 0 ? err_set(e, -r, "linux.resources.devices: load the device filter: %s",
			       strerror(-r))
		     : 0;
}

int cgroup_set_devices(int cgroupfd, const struct config_resources *res, struct err *e)
{
	return set_devices(cgroupfd, res, false, e);
}

int cgroup_replace_devices(int cgroupfd, const struct config_resources *res, struct err *e)
{
	return set_devices(cgroupfd, res, true, e);
}
