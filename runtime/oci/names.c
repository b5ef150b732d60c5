#include "runtime/oci/names.h"

#include "lib/base/num.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

/* Indexed by number: linux/capability.h. */
static const char *const cap_names[CAP_NAMES_N] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
	"CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"};

struct named {
	const char *name;
	int number;
};

static const struct named rlimit_names[] = {
	{"RLIMIT_AS", RLIMIT_AS},
	{"RLIMIT_CORE", RLIMIT_CORE},
	{"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},
	{"RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"RLIMIT_NPROC", RLIMIT_NPROC},
	{"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

static const struct named signal_names[] = {
	{"ABRT", SIGABRT},
	{"ALRM", SIGALRM},
	{"BUS", SIGBUS},
	{"CHLD", SIGCHLD},
	{"CLD", SIGCHLD},
	{"CONT", SIGCONT},
	{"FPE", SIGFPE},
	{"HUP", SIGHUP},
	{"ILL", SIGILL},
	{"INT", SIGINT},
	{"IO", SIGIO},
	{"IOT", SIGABRT},
	{"KILL", SIGKILL},
	{"PIPE", SIGPIPE},
	{"POLL", SIGIO},
	{"PROF", SIGPROF},
	{"PWR", SIGPWR},
	{"QUIT", SIGQUIT},
	{"SEGV", SIGSEGV},
	{"STKFLT", SIGSTKFLT},
	{"STOP", SIGSTOP},
	{"SYS", SIGSYS},
	{"TERM", SIGTERM},
	{"TRAP", SIGTRAP},
	{"TSTP", SIGTSTP},
	{"TTIN", SIGTTIN},
	{"TTOU", SIGTTOU},
	{"URG", SIGURG},
	{"USR1", SIGUSR1},
	{"USR2", SIGUSR2},
	{"VTALRM", SIGVTALRM},
	{"WINCH", SIGWINCH},
	{"XCPU", SIGXCPU},
	{"XFSZ", SIGXFSZ},
};

/* The kernel's numbers: libc keeps the first few real-time signals for itself, so that its
 * SIGRTMIN differs between programs. */
#define KERNEL_SIGRTMIN 34
#define KERNEL_SIGRTMAX 64

static const struct {
	const char *name;
	const char *proc;
	uint64_t flag;
} ns_names[NS_N] = {
	[NS_USER] = {"user", "user", CLONE_NEWUSER},
	[NS_PID] = {"pid", "pid", CLONE_NEWPID},
	[NS_MOUNT] = {"mount", "mnt", CLONE_NEWNS},
	[NS_NET] = {"network", "net", CLONE_NEWNET},
	[NS_IPC] = {"ipc", "ipc", CLONE_NEWIPC},
	[NS_UTS] = {"uts", "uts", CLONE_NEWUTS},
	[NS_CGROUP] = {"cgroup", "cgroup", CLONE_NEWCGROUP},
	[NS_TIME] = {"time", "time", CLONE_NEWTIME},
};

static const char *const hook_names[HOOK_N] = {
	[HOOK_PRESTART] = "prestart",
	[HOOK_CREATE_RUNTIME] = "createRuntime",
	[HOOK_CREATE_CONTAINER] = "createContainer",
	[HOOK_START_CONTAINER] = "startContainer",
	[HOOK_POSTSTART] = "poststart",
	[HOOK_POSTSTOP] = "poststop",
};

int name_cap(const char *name)
{
	/* As a generated configuration spells it. */
	for (int i = 0; i < CAP_NAMES_N; i++) {
		if (strcmp(name, cap_names[i]) == 0)
			return i;
	}
	for (int i = 0; i < CAP_NAMES_N; i++) {
		if (strcasecmp(name, cap_names[i]) == 0 || strcasecmp(name, cap_names[i] + 4) == 0)
			return i;
	}
	return -EINVAL;
}

const char *name_of_cap(int cap)
{
	return cap >= 0 && cap < CAP_NAMES_N ? cap_names[cap] : NULL;
}

int name_rlimit(const char *name)
{
	for (size_t i = 0; i < sizeof(rlimit_names) / sizeof(rlimit_names[0]); i++) {
		if (strcmp(name, rlimit_names[i].name) == 0)
			return rlimit_names[i].number;
	}
	return -EINVAL;
}

int name_signal(const char *name)
{
	uint64_t n;

	if (num_parse_u64(name, strlen(name), KERNEL_SIGRTMAX, &n) == 0)
		return n > 0 ? (int)n : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < sizeof(signal_names) / sizeof(signal_names[0]); i++) {
		if (strcasecmp(name, signal_names[i].name) == 0)
			return signal_names[i].number;
	}
	if (strcasecmp(name, "RTMIN") == 0)
		return KERNEL_SIGRTMIN;
	if (strcasecmp(name, "RTMAX") == 0)
		return KERNEL_SIGRTMAX;
	if (strlen(name) > 6 && num_parse_u64(name + 6, strlen(name + 6),
					KERNEL_SIGRTMAX - KERNEL_SIGRTMIN, &n) == 0) {
		if (strncasecmp(name, "RTMIN+", 6) == 0)
			return KERNEL_SIGRTMIN + (int)n;
		if (strncasecmp(name, "RTMAX-", 6) == 0)
			return KERNEL_SIGRTMAX - (int)n;
	}
	return -EINVAL;
}

int name_ns(const char *name)
{
	for (int i = 0; i < NS_N; i++) {
		if (strcmp(name, ns_names[i].name) == 0)
			return i;
	}
	return -EINVAL;
}

const char *name_of_ns(enum ns_type type)
{
	return ns_names[type].name;
}

uint64_t ns_clone_flag(enum ns_type type)
{
	return ns_names[type].flag;
}

const char *ns_proc_name(enum ns_type type)
{
	return ns_names[type].proc;
}

const char *name_of_hook(enum hook_kind kind)
{
	return hook_names[kind];
}
