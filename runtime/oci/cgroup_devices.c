/* The device filter: one eBPF program on the container's cgroup. */
#include "runtime/oci/cgroup.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "runtime/oci/device_program.h"

#include <string.h>

/* programs on one cgroup: the kernel's limit, BPF_CGROUP_MAX_PROGS */
#define PROGRAMS_MAX 64

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
	return device_bpf(BPF_PROG_ATTACH, &attr);
}

static int detach_program(int cgroupfd, int progfd)
{
	union bpf_attr attr = {
		.target_fd = (__u32)cgroupfd,
		.attach_bpf_fd = (__u32)progfd,
		.attach_type = BPF_CGROUP_DEVICE,
	};

	return device_bpf(BPF_PROG_DETACH, &attr);
}

/* 1, 0 or -errno */
static int is_ours(int progfd)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr = {.info = {.bpf_fd = (__u32)progfd,
				       .info_len = sizeof(info),
				       .info = (uintptr_t)&info}};

	int r = device_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);

	return r < 0 ? r : strcmp(info.name, DEVICE_PROGRAM_NAME) == 0;
}

/* Open our program among those of the cgroup. Returns a descriptor; -ENOENT if there is none;
 * another error if that cannot be told: a second one beside it would allow only what both do. */
static int open_attached(int cgroupfd)
{
	__u32 ids[PROGRAMS_MAX];
	union bpf_attr query = {.query = {.target_fd = (__u32)cgroupfd,
					.attach_type = BPF_CGROUP_DEVICE,
					.prog_ids = (uintptr_t)ids,
					.prog_cnt = PROGRAMS_MAX}};
	int r = device_bpf(BPF_PROG_QUERY, &query);

	for (__u32 i = 0; r == 0 && i < query.query.prog_cnt; i++) {
		union bpf_attr attr = {.prog_id = ids[i]};
		AUTO_CLOSE int fd = device_bpf(BPF_PROG_GET_FD_BY_ID, &attr);

		/* One that was detached meanwhile is not there. */
		if (fd < 0 && fd != -ENOENT)
			return fd;
		r = fd < 0 ? 0 : is_ours(fd);
		if (r == 1)
			return TAKE_FD(fd);
	}
	return r < 0 ? r : -ENOENT;
}

/* @replace: there may be one of ours already */
static int set_devices(
	int cgroupfd, const struct config_resources *res, bool replace, struct err *e)
{
	AUTO_CLOSE int prog = device_program_open(res->devices, res->n_devices);
	AUTO_CLOSE int old = -ENOENT;
	int r = prog < 0 && prog != -ENODATA ? prog : 0;

	if (r == 0 && replace) {
		old = open_attached(cgroupfd);
		r = old < 0 && old != -ENOENT ? old : 0;
	}
	if (r == 0 && prog >= 0)
		r = attach_program(cgroupfd, prog, old);
	else if (r == 0 && old >= 0)
		r = detach_program(cgroupfd, old);
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
