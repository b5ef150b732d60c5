/*
 * The least that makes a container: the system calls alone that one known config.json asks for,
 * with nothing parsed, checked, told or kept. What sampan-oci and its peers are compared with; no
 * runtime, and safe against nothing.
 *
 *   oci-floor --root DIR run --bundle BUNDLE ID
 *   oci-floor --root DIR create --bundle BUNDLE --pid-file FILE ID; … start ID; … delete ID
 *   oci-floor --root DIR exec ID PROGRAM
 *
 * The container's program is /program, its argument the last part of BUNDLE's path.
 * oci-floor-config.h is made from config.json by bench_oci.py. DIR/filter holds the seccomp
 * filter as sampan-oci keeps it: four bytes of flags, then the program.
 */
#define _GNU_SOURCE
#include "lib/base/sys.h"
#include "runtime/oci/device_rules.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "oci-floor-config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CGROUPS "/sys/fs/cgroup/containers/"
#define PATH_BYTES 512

static struct {
	unsigned flags;
	struct sock_filter insns[4096];
} filter;
static struct sock_fprog program = {.filter = filter.insns};

static long must(const char *what, long r)
{
	if (r < 0) {
		fprintf(stderr, "oci-floor: %s: %s\n", what, strerror(errno));
		_exit(1);
	}
	return r;
}

static void write_file(const char *path, const char *text)
{
	int fd = (int)must(path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	must(path, write(fd, text, strlen(text)));
	close(fd);
}

static void read_filter(const char *root)
{
	char path[PATH_BYTES];
	long n;
	int fd;

	snprintf(path, sizeof(path), "%s/filter", root);
	fd = (int)must(path, open(path, O_RDONLY | O_CLOEXEC));
	n = must(path, read(fd, &filter, sizeof(filter)));
	close(fd);
	program.len =
		(unsigned short)(((size_t)n - sizeof(filter.flags)) / sizeof(filter.insns[0]));
}

static int make_cgroup(const char *id)
{
	struct bpf_insn insns[256];
	char path[PATH_BYTES];
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t) "Apache-2.0"};
	union bpf_attr attach = {
		.attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI};
	int fd;

	mkdir(CGROUPS, 0755);
	snprintf(path, sizeof(path), CGROUPS "%s", id);
	must(path, mkdir(path, 0755));
	fd = (int)must(path, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	load.insn_cnt = (unsigned)device_rules_compile(device_rules, COUNT(device_rules), insns);
	attach.attach_bpf_fd = (unsigned)must(
		"load the device filter", syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)));
	attach.target_fd = (unsigned)fd;
	must("attach the device filter",
		syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)));
	close((int)attach.attach_bpf_fd);
	return fd;
}

static void remove_cgroup(const char *id)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), CGROUPS "%s", id);
	must(path, rmdir(path));
}

static void set_up_namespaces(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int sock;

	must("cgroup namespace", unshare(CLONE_NEWCGROUP));
	must("setsid", setsid());
	syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses");
	write_file("/proc/self/oom_score_adj", oom_score_adj);
	must("hostname", sethostname(hostname, strlen(hostname)));
	for (size_t i = 0; i < COUNT(sysctls); i++)
		write_file(sysctls[i].path, sysctls[i].value);
	sock = (int)must("socket", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must("lo", ioctl(sock, SIOCSIFFLAGS, &lo));
	close(sock);
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = {{"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7},
		{"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
		{"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
		{"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};

	umask(0);
	for (size_t i = 0; i < COUNT(nodes); i++)
		must(nodes[i].path, mknod(nodes[i].path, S_IFCHR | 0666,
					    makedev(nodes[i].major, nodes[i].minor)));
	for (size_t i = 0; i < COUNT(links); i++)
		must(links[i][1], symlink(links[i][0], links[i][1]));
	umask(022);
}

/* From the root file system's directory, so that every path is short. */
static void set_up_root(const char *bundle)
{
	char path[PATH_BYTES];
	const char *empty = NULL;
	struct stat st;

	snprintf(path, sizeof(path), "%s/rootfs", bundle);
	must("/", mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	must(path, mount(path, path, NULL, MS_BIND | MS_REC, NULL));
	must(path, chdir(path));
	for (size_t i = 0; i < COUNT(mounts); i++) {
		mkdir(mounts[i].target, 0755);
		must(mounts[i].target, mount(mounts[i].source, mounts[i].target, mounts[i].type,
					       mounts[i].flags, mounts[i].data));
	}
	make_devices();
	for (size_t i = 0; i < COUNT(readonly_paths); i++) {
		const char *p = readonly_paths[i];

		if (mount(p, p, NULL, MS_BIND | MS_REC, NULL) == 0)
			must(p, mount(NULL, p, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	}
	for (size_t i = 0; i < COUNT(masked_paths); i++) {
		const char *p = masked_paths[i];

		if (stat(p, &st) < 0)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			must(p, mount("/dev/null", p, NULL, MS_BIND, NULL));
		} else if (empty) {
			must(p, mount(empty, p, NULL, MS_BIND, NULL));
		} else {
			must(p, mount("tmpfs", p, "tmpfs", MS_RDONLY, NULL));
			empty = p;
		}
	}
	must("pivot_root", sys_pivot_root(".", "."));
	must("umount", umount2(".", MNT_DETACH));
	must("chdir", chdir("/"));
}

static _Noreturn void execute(char *const args[])
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {
		{.effective = (unsigned)bounding, .permitted = (unsigned)bounding},
		{.effective = bounding >> 32, .permitted = bounding >> 32}};

	for (size_t i = 0; i < COUNT(rlimits); i++)
		must("rlimit", setrlimit(rlimits[i].resource, &rlimits[i].limit));
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		if (!(bounding & 1ULL << cap))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
	must("setgroups", syscall(SYS_setgroups, 0, NULL));
	must("setresgid", syscall(SYS_setresgid, 0, 0, 0));
	must("setresuid", syscall(SYS_setresuid, 0, 0, 0));
	must("seccomp", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
	must("capset", syscall(SYS_capset, &head, caps));
	must("close_range", sys_close_range(3, ~0U, 0));
	execve(args[0], args, environment);
	must(args[0], -1);
	_exit(1);
}

/* @fifo: opened before the start; -1: starts at once */
static pid_t make_container(const char *bundle, const char *id, int fifo)
{
	struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
					   CLONE_NEWIPC | CLONE_NEWUTS | CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (unsigned)make_cgroup(id)};
	char byte;
	pid_t pid = (pid_t)must("clone3", sys_clone3(&args, sizeof(args)));

	if (pid > 0)
		return pid;
	set_up_namespaces();
	set_up_root(bundle);
	if (fifo >= 0)
		must("start", read(fifo, &byte, 1));
	execute((char *const[]){"/program", strrchr(bundle, '/') + 1, NULL});
}

static void state_path(
	char path[static PATH_BYTES], const char *root, const char *id, const char *what)
{
	snprintf(path, PATH_BYTES, "%s/%s.%s", root, id, what);
}

static int create(const char *root, char **args)
{
	char path[PATH_BYTES];
	char pid[16];
	int fifo;

	read_filter(root);
	state_path(path, root, args[4], "start");
	must(path, mkfifo(path, 0600));
	fifo = (int)must(path, open(path, O_RDWR | O_CLOEXEC));
	snprintf(pid, sizeof(pid), "%d", make_container(args[1], args[4], fifo));
	write_file(args[3], pid);
	state_path(path, root, args[4], "pid");
	write_file(path, pid);
	return 0;
}

static int start(const char *root, char **args)
{
	char path[PATH_BYTES];

	state_path(path, root, args[0], "start");
	write_file(path, "x");
	return 0;
}

static int delete (const char *root, char **args)
{
	char path[PATH_BYTES];

	remove_cgroup(args[0]);
	state_path(path, root, args[0], "start");
	must(path, unlink(path));
	state_path(path, root, args[0], "pid");
	must(path, unlink(path));
	return 0;
}

static int run(const char *root, char **args)
{
	pid_t pid;
	int status;

	read_filter(root);
	pid = make_container(args[1], args[2], -1);
	must("wait", waitpid(pid, &status, 0));
	remove_cgroup(args[2]);
	return WEXITSTATUS(status);
}

static int exec(const char *root, char **args)
{
	struct clone_args clone = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	char path[PATH_BYTES];
	char text[16] = "";
	int target;
	int status;
	pid_t pid;
	int fd;

	read_filter(root);
	state_path(path, root, args[0], "pid");
	fd = (int)must(path, open(path, O_RDONLY | O_CLOEXEC));
	must(path, read(fd, text, sizeof(text) - 1));
	target = (int)must("pidfd", sys_pidfd_open(atoi(text), 0));
	snprintf(path, sizeof(path), CGROUPS "%s", args[0]);
	clone.cgroup = (unsigned)must(path, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	must("setns", setns(target, CLONE_NEWPID));
	pid = (pid_t)must("clone3", sys_clone3(&clone, sizeof(clone)));
	if (pid == 0) {
		must("setns", setns(target, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
						    CLONE_NEWUTS | CLONE_NEWCGROUP));
		must("setsid", setsid());
		syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses");
		execute(args + 1);
	}
	must("wait", waitpid(pid, &status, 0));
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *root, char **args);
		int args;
	} commands[] = {{"run", run, 3}, {"create", create, 5}, {"start", start, 1},
		{"delete", delete, 1}, {"exec", exec, 2}};

	for (size_t i = 0; argc > 4 && i < COUNT(commands); i++) {
		if (strcmp(argv[3], commands[i].name) == 0 && argc >= 4 + commands[i].args)
			return commands[i].run(argv[2], argv + 4);
	}
	fprintf(stderr, "usage: see oci-floor.c\n");
	return 2;
}
