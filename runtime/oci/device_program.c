#include "runtime/oci/device_program.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "runtime/oci/limits.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* who gets signals faster than that gets nowhere */
#define LOAD_TRIES_MAX 8

#define PIN_DIR "/sys/fs/bpf/sampan-oci"

int device_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int load(const struct bpf_insn *insns, size_t n)
{
	static const char license[] = "Apache-2.0";
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insn_cnt = (__u32)n,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t)license,
		.prog_name = DEVICE_PROGRAM_NAME,
	};

	int r = -EAGAIN;

	/* EAGAIN: a signal came while the kernel checked the program (since Linux 5.0). */
	for (int i = 0; i < LOAD_TRIES_MAX && r == -EAGAIN; i++)
		r = device_bpf(BPF_PROG_LOAD, &attr);
	return r;
}

int device_pin_name(const struct config_device_rule *rules, size_t n, const struct bpf_insn *insns,
	size_t n_insns, char buf[static DEVICE_PIN_BYTES_MAX])
{
	uint64_t hash = 0xcbf29ce484222325;
	size_t len;

	/* The rules tell containers apart, the hash what other versions of us make of them. */
	for (size_t i = 0; i < n_insns; i++) {
		uint64_t insn;

		memcpy(&insn, &insns[i], sizeof(insn));
		hash = (hash ^ insn) * 0x100000001b3;
		hash ^= hash >> 32;
	}
	len = (size_t)snprintf(buf, DEVICE_PIN_BYTES_MAX, "%016" PRIx64, hash);
	for (size_t i = 0; i < n; i++) {
		const struct config_device_rule *r = &rules[i];
		const size_t room = DEVICE_PIN_BYTES_MAX - len;
		/* bpffs takes no dots in names; -1 stands for all. */
		int add = snprintf(buf + len, room, ",%c%c%" PRId64 ":%" PRId64 ":%u",
			r->allow ? '+' : '-', r->type, r->major, r->minor, r->access);

		if (add < 0 || (size_t)add >= room)
			return -ENAMETOOLONG;
		len += (size_t)add;
	}
	return 0;
}

/* Nobody but root can put anything there. */
static bool pins_are_ours(void)
{
	struct stat st;

	return fstatat(AT_FDCWD, PIN_DIR, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_uid == 0 && !(st.st_mode & 077);
}

static bool pins_are_full(void)
{
	DIR *dir = opendir(PIN_DIR);
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n >= OCI_DEVICE_PINS_MAX;
}

static int pinned(enum bpf_cmd cmd, const char *name, int progfd)
{
	char path[sizeof(PIN_DIR) + DEVICE_PIN_BYTES_MAX];
	union bpf_attr attr = {.pathname = (uintptr_t)path};

	snprintf(path, sizeof(path), PIN_DIR "/%s", name);
	if (cmd == BPF_OBJ_PIN)
		attr.bpf_fd = (__u32)progfd;
	return device_bpf(cmd, &attr);
}

static int load_and_pin(const char *name, const struct bpf_insn *insns, size_t n)
{
	int prog = load(insns, n);

	if (prog < 0 || geteuid() != 0)
		return prog;
	(void)mkdirat(AT_FDCWD, PIN_DIR, 0700);
	if (pins_are_ours() && !pins_are_full())
		(void)pinned(BPF_OBJ_PIN, name, prog);
	return prog;
}

int device_program_open(const struct config_device_rule *rules, size_t n)
{
	struct bpf_insn *insns = calloc(device_rules_insns_max(n), sizeof(*insns));
	char name[DEVICE_PIN_BYTES_MAX];
	size_t n_insns;
	int r;

	if (!insns)
		return -ENOMEM;
	n_insns = device_rules_compile(rules, n, insns);
	if (n_insns == 0) {
		r = -ENODATA;
	} else if (device_pin_name(rules, n, insns, n_insns, name) < 0) {
		r = load(insns, n_insns);
	} else {
		r = pins_are_ours() ? pinned(BPF_OBJ_GET, name, -1) : -ENOENT;
		if (r < 0)
			r = load_and_pin(name, insns, n_insns);
	}
	free(insns);
	return r;
}
