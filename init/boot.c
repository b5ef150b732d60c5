#include "init/boot.h"

#include "init/limits.h"
#include "init/options.h"
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/sys.h"

#include <errno.h>
#include <linux/mount.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* sys/mount.h clashes with linux/mount.h in some libcs; this is all that is needed of it */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data);

#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)

struct mount_entry {
	const char *target;
	const char *type;
	unsigned long flags;
	const char *data;
	mode_t make;   /* of the directory, made if missing; 0: only where there is one */
	bool optional; /* not every kernel or machine has it */
};

static const struct mount_entry mounts[] = {
	{"/proc", "proc", SAFE, NULL, 0555, false},
	{"/sys", "sysfs", SAFE, NULL, 0555, false},
	{"/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755", 0755, false},
	{"/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,gid=5,ptmxmode=0666", 0755, false},
	{"/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", 01777, false},
	{"/dev/mqueue", "mqueue", SAFE, NULL, 01777, true},
	{"/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755", 0755, false},
	{"/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777", 01777, false},
	{"/sys/fs/cgroup", "cgroup2", SAFE, "nsdelegate,memory_recursiveprot", 0, false},
	{"/sys/fs/bpf", "bpf", SAFE, "mode=0700", 0, true},
	{"/sys/firmware/efi/efivars", "efivarfs", SAFE, NULL, 0, true},
	{"/sys/kernel/security", "securityfs", SAFE, NULL, 0, true},
};

static const struct {
	const char *path; /* below /proc/sys */
	const char *value;
	bool unset_only; /* the kernel's command line may have set it */
} sysctls[] = {
	/* a panic must not leave a machine that nobody looks at */
	{"kernel/panic", "10", true},
	{"kernel/panic_on_oops", "1", false},
	/* what containers expect of a host */
	{"net/ipv4/ip_forward", "1", false},
	{"vm/max_map_count", "1048576", false},
	{"fs/inotify/max_user_instances", "1024", false},
	{"kernel/pid_max", "4194304", false},
	/* links and files of others in /tmp are no traps; the kernel's own default is 0 */
	{"fs/protected_hardlinks", "1", false},
	{"fs/protected_symlinks", "1", false},
	{"fs/protected_fifos", "2", false},
	{"fs/protected_regular", "2", false},
	/* the kernel's addresses and its log are nothing for containers */
	{"kernel/kptr_restrict", "2", false},
	{"kernel/dmesg_restrict", "1", false},
	{"kernel/perf_event_paranoid", "3", false},
	{"kernel/unprivileged_bpf_disabled", "1", false},
	{"net/core/bpf_jit_harden", "2", false},
};

/*
 * The kernel refuses pivot_root while the root is the initial one, which has no parent
 * (path_mounted and mnt_has_parent in fs/namespace.c). So the root becomes a bind mount over
 * itself.
 */
static void bind_root(void)
{
	AUTO_CLOSE int tree = sys_open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0 || sys_move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		/* our own "/" still is what lies below; the descriptor is what was put on top */
		fchdir(tree) < 0 || chroot(".") < 0)
		log_error("cannot bind the root; containers will not start: %s", strerror(errno));
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_entry *m = &mounts[i];

		if (m->make)
			(void)mkdir(m->target, m->make);
		else if (access(m->target, F_OK) < 0)
			continue;
		if (mount(m->type, m->target, m->type, m->flags, m->data) < 0 &&
			!(m->optional && (errno == ENODEV || errno == EOPNOTSUPP)))
			log_error("mount %s: %s", m->target, strerror(errno));
	}
}

/* What came with the image stays as it came: all that is written has a mount of its own. It also
 * keeps every container from writing to the runtime's file, without a copy of it. */
static void protect_root(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (sys_mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		log_error("cannot make the root read-only: %s", strerror(errno));
}

static void make_links(void)
{
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			log_error("link %s: %s", links[i][1], strerror(errno));
}

static void set_sysctls(void)
{
	AUTO_CLOSE int dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		char old[32];
		int r;

		if (sysctls[i].unset_only &&
			(io_read_file_at(dir, sysctls[i].path, old, sizeof(old)) < 0 ||
				strcmp(old, "0\n") != 0))
			continue;
		r = io_write_file_at(dir, sysctls[i].path, sysctls[i].value);
		/* not there: the kernel was built without what it is about */
		if (r < 0 && r != -ENOENT)
			log_warn("sysctl %s=%s: %s", sysctls[i].path, sysctls[i].value,
				strerror(-r));
	}
}

static void set_hostname(void)
{
	char name[65 + 64];
	ssize_t n = io_read_file_at(AT_FDCWD, "/etc/hostname", name, sizeof(name));
	size_t len = n > 0 ? strcspn(name, "\r\n") : 0;

	if (len == 0 || len > 64 || sethostname(name, len) < 0)
		log_error("/etc/hostname: expected a name of at most 64 characters");
}

static void raise_loopback(void)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		log_error("loopback: %s", strerror(errno));
}

static void set_limits(void)
{
	const struct rlimit nofile = {INIT_NOFILE, SERVICE_NOFILE_HARD};
	const struct rlimit core = {0, RLIM_INFINITY};

	if (setrlimit(RLIMIT_NOFILE, &nofile) < 0)
		log_error("setrlimit: %s", strerror(errno));
	/* inherited: no core files in whatever directory a service happens to be */
	(void)setrlimit(RLIMIT_CORE, &core);
	if (io_write_file_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") < 0)
		log_error("oom_score_adj: cannot be set");
}

void boot_prepare(void)
{
	(void)umask(0);
	bind_root();
	mount_all();
	protect_root();
	make_links();
	(void)umask(022);
	set_sysctls();
	set_limits();
	set_hostname();
	raise_loopback();
}
