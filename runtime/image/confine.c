#include "runtime/image/confine.h"

#include "lib/base/sys.h"
#include "runtime/image/layer.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Owns no file and no other process: above what systems give to people and services, and below the
 * ranges for user namespaces. */
#define CONFINED_UID 64991

/* bytes of data that the process may have: libarchive's windows and the names of a large layer */
#define CONFINED_DATA_BYTES (1ULL << 30)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static const int kept_caps[] = {
	CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP};

/* What making files takes, with either C library. No way to another root, process, program or
 * network. */
static const int calls[] = {
#ifdef SYS_open
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_unlink,
	SYS_rmdir,
	SYS_mkdir,
	SYS_readlink,
#endif
	SYS_read,
	SYS_readv,
	SYS_pread64,
	SYS_write,
	SYS_writev,
	SYS_pwrite64,
	SYS_lseek,
	SYS_openat,
	SYS_openat2,
	SYS_close,
	SYS_dup,
	SYS_fcntl,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_fstatfs,
	SYS_getdents64,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_fchdir,
	SYS_getcwd,
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_linkat,
	SYS_symlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_fchown,
	SYS_fchownat,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_utimensat,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fsetxattr,
	SYS_lsetxattr,
	SYS_flistxattr,
	SYS_fremovexattr,
	SYS_umask,
	SYS_sendmsg,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_sched_yield,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_gettimeofday,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_rt_sigprocmask,
	SYS_rt_sigaction,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_getpid,
	SYS_gettid,
	SYS_getuid,
	SYS_geteuid,
	SYS_restart_syscall,
	SYS_exit,
	SYS_exit_group,
#if SANITIZED
	SYS_prctl,
	SYS_sched_getaffinity,
	SYS_getrlimit,
	SYS_prlimit64,
	SYS_sysinfo,
#endif
};

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "which AUDIT_ARCH?"
#endif

/* A filter being written. */
struct filter {
	struct sock_filter code[COUNT(calls) * 2 + LAYER_DEVICES * 2 + 24];
	unsigned short n;
};

static void load(struct filter *f, size_t offset)
{
	f->code[f->n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset);
}

static void end(struct filter *f, unsigned verdict)
{
	f->code[f->n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
}

/* What was loaded, if it is @value, is allowed. */
static void allow(struct filter *f, unsigned value)
{
	f->code[f->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	end(f, SECCOMP_RET_ALLOW);
}

/* The low half of a system call's argument; both our architectures keep it first. */
static size_t argument(unsigned i)
{
	return offsetof(struct seccomp_data, args) + i * sizeof(uint64_t);
}

/*
 * mknodat, the last call that is looked at: it and CAP_MKNOD together would open any disk. So no
 * block devices, and of the others those that a layer may bring, and whiteouts.
 */
static void add_mknodat(struct filter *f)
{
	f->code[f->n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mknodat, 1, 0);
	end(f, SECCOMP_RET_KILL_PROCESS);
	load(f, argument(2));
	f->code[f->n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT);
	allow(f, S_IFIFO);
	allow(f, S_IFSOCK);
	f->code[f->n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0);
	end(f, SECCOMP_RET_KILL_PROCESS);
	load(f, argument(3));
	allow(f, 0);
	for (size_t i = 0; i < LAYER_DEVICES; i++)
		allow(f, (unsigned)makedev(layer_devices[i].major, layer_devices[i].minor));
	end(f, SECCOMP_RET_KILL_PROCESS);
}

static int install_filter(struct err *e)
{
	struct filter f = {.n = 0};
	struct sock_fprog program = {.filter = f.code};

	load(&f, offsetof(struct seccomp_data, arch));
	f.code[f.n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0);
	end(&f, SECCOMP_RET_KILL_PROCESS);
	load(&f, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT(calls); i++)
		allow(&f, (unsigned)calls[i]);
	add_mknodat(&f);
	program.len = f.n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return err_set(e, errno, "confine the unpacker: seccomp: %s", strerror(errno));
	return 0;
}

static int drop_caps(struct err *e)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}, {0}};

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
			return err_set(e, errno, "confine the unpacker: bounding set: %s",
				strerror(errno));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
		setresgid(CONFINED_UID, CONFINED_UID, CONFINED_UID) < 0 ||
		setresuid(CONFINED_UID, CONFINED_UID, CONFINED_UID) < 0)
		return err_set(e, errno, "confine the unpacker: change uid: %s", strerror(errno));
	for (size_t i = 0; i < COUNT(kept_caps); i++) {
		data[CAP_TO_INDEX(kept_caps[i])].permitted |= CAP_TO_MASK(kept_caps[i]);
		data[CAP_TO_INDEX(kept_caps[i])].effective |= CAP_TO_MASK(kept_caps[i]);
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_set(e, errno, "confine the unpacker: capabilities: %s", strerror(errno));
	/* Only now: a change of uid takes it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_set(e, errno, "confine the unpacker: %s", strerror(errno));
	return 0;
}

int confine_to_directory(int dirfd, struct err *e)
{
	const struct rlimit none = {0, 0};
	const struct rlimit data = {CONFINED_DATA_BYTES, CONFINED_DATA_BYTES};
	int r;

	(void)umask(0);
	/*
	 * chroot and not pivot_root, which the kernel refuses on an initial root file system; to
	 * leave it takes another chroot, or a descriptor of a directory outside.
	 */
	if (fchdir(dirfd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_set(e, errno, "confine the unpacker: change root: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0 ||
		(!SANITIZED && setrlimit(RLIMIT_DATA, &data) < 0))
		return err_set(e, errno, "confine the unpacker: limits: %s", strerror(errno));
	r = drop_caps(e);
	return r < 0 ? r : install_filter(e);
}
