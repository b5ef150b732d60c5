#include "runtime/oci/container.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/creds.h"
#include "runtime/oci/lsm.h"
#include "runtime/oci/passwd.h"
#include "runtime/oci/scheduling.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The kernel's _NSIG; libc's has one more. */
#define KERNEL_SIGNALS 64

/* bytes read of an image's /etc/passwd: a line behind them names nobody */
#define PASSWD_BYTES_MAX 65536

/* bytes of what an error says */
#define ERROR_WORDS_BYTES 64

static const char *env_find(const struct json_strv *env, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = env->n; i-- > 0;) {
		if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
			return env->v[i] + len + 1;
	}
	return NULL;
}

/* 0 if @path is a file that may be executed by someone; else what execve would say. */
static int check_program(int root, const char *path)
{
	AUTO_CLOSE int fd = path_open_in_root(root, path, O_PATH, 0);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (st.st_mode & 0111) ? 0 : -EACCES;
}

/* Engines tell a program that is not there (status 127) and one that is none (126) by runc's words
 * for it, which are those of Go: the C library's with a small letter. Source: moby,
 * daemon/errors.go, setExitCodeFromError. */
static const char *words_of_go(int error, char buf[static ERROR_WORDS_BYTES])
{
	snprintf(buf, ERROR_WORDS_BYTES, "%s", strerror(error));
	buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

int process_prepare(const struct config_process *p, const char **ret_path, struct err *e)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char why_text[ERROR_WORDS_BYTES];
	const char *name = p->args.v[0];
	const char *dirs = env_find(&p->env, "PATH");
	int why = -ENOENT;
	char *path;
	int r;

	*ret_path = name;
	if (name[0] != '/' && strchr(name, '/'))
		return 0; /* below the working directory, where execve looks */
	if (name[0] == '/') {
		r = check_program(root, name);
		return r < 0 ? err_set(e, -r, "process.args[0]: exec: \"%s\": %s", name,
				       words_of_go(-r, why_text))
			     : 0;
	}
	for (dirs = dirs ? dirs : DEFAULT_PATH; *dirs; dirs += strspn(dirs, ":")) {
		int len = (int)strcspn(dirs, ":");

		if (asprintf(&path, "%.*s/%s", len, dirs, name) < 0)
			return err_set(e, ENOMEM, "process.args[0]: out of memory");
		dirs += len;
		r = check_program(root, path);
		if (r == 0) {
			*ret_path = path;
			return 0;
		}
		free(path);
		if (r == -EACCES)
			why = r;
		/* Else a program of the same name farther behind would run in its place. */
		else if (r != -ENOENT && r != -ENOTDIR && r != -ELOOP && r != -ENAMETOOLONG)
			return err_set(e, -r, "process.args[0]: look for %s in $PATH: %s", name,
				strerror(-r));
	}
	return err_set(e, -why, "process.args[0]: exec: \"%s\": %s", name,
		why == -EACCES ? words_of_go(EACCES, why_text)
			       : "executable file not found in $PATH");
}

void process_reset_signals(void)
{
	/* The kernel's struct sigaction (32 bytes here) with SIG_DFL, which is 0. Not libc's call:
	 * it refuses the signals that libc uses itself, and glibc's posix_spawn ignores those. */
	static const unsigned long by_default[8] = {0};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig <= KERNEL_SIGNALS; sig++)
		(void)syscall(SYS_rt_sigaction, sig, by_default, NULL, KERNEL_SIGNALS / 8);
}

int process_raise_limits(pid_t pid, const struct config_process *p, struct err *e)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		struct rlimit l;
		int r = prlimit(pid, p->rlimits[i].resource, NULL, &l);

		if (r == 0 && l.rlim_max < p->rlimits[i].hard.v) {
			l.rlim_max = p->rlimits[i].hard.v;
			r = prlimit(pid, p->rlimits[i].resource, &l, NULL);
		}
		if (r < 0)
			return err_set(e, errno, "process.rlimits[%zu]: %s: %s", i,
				p->rlimits[i].name, strerror(errno));
	}
	return 0;
}

static int set_limits(const struct process_final *f, struct err *e)
{
	const struct config_process *p = f->process;

	struct rlimit nofile;

	/* The runtime may have raised its soft limit for a long list of mounts. The hard one stays:
	 * it may have been raised for this process. */
	if (f->nofile) {
		int r = getrlimit(RLIMIT_NOFILE, &nofile);

		nofile.rlim_cur = f->nofile->rlim_cur;
		if (r < 0 || setrlimit(RLIMIT_NOFILE, &nofile) < 0)
			return err_set(e, errno, "process.rlimits: restore: %s", strerror(errno));
	}
	for (size_t i = 0; i < p->n_rlimits; i++) {
		struct rlimit l = {
			.rlim_cur = p->rlimits[i].soft.v, .rlim_max = p->rlimits[i].hard.v};

		if (setrlimit(p->rlimits[i].resource, &l) < 0)
			return err_set(e, errno, "process.rlimits[%zu]: %s: %s", i,
				p->rlimits[i].name, strerror(errno));
	}
	return 0;
}

/* The working directory, reached from the container's root and by no magic link: a path like
 * /proc/self/fd/7 cannot lead to a descriptor that came along. */
static int enter_cwd(const char *cwd)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int dir = path_open_in_root(root, cwd, O_PATH | O_DIRECTORY, 0);

	if (dir < 0)
		return dir;
	return fchdir(dir) < 0 ? -errno : 0;
}

/* So that the program can open /dev/stderr when its user is not ours. Only what was made for this
 * conversation: a file or device that the caller reads from or writes to stays the host's. */
static void give_stdio(uint32_t uid)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &st) < 0 || st.st_uid == uid)
			continue;
		if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !isatty(fd))
			continue;
		(void)!fchown(fd, uid, (gid_t)-1);
	}
}

/* The image's /etc/passwd. It is looked at before it is opened, which for anything but a file may
 * have an effect; and a file of proc would be read with rights that the container has not. */
static int open_passwd(int host_proc)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int place = path_open_in_root(root, "/etc/passwd", O_PATH, 0);
	struct statfs fs;
	struct stat st;
	char path[32];

	if (place < 0 || fstat(place, &st) < 0 || fstatfs(place, &fs) < 0 || !S_ISREG(st.st_mode) ||
		fs.f_type == PROC_SUPER_MAGIC)
		return -1;
	snprintf(path, sizeof(path), "self/fd/%d", place);
	return openat(host_proc, path, O_RDONLY | O_CLOEXEC);
}

/* HOME as the image's /etc/passwd has it for @uid; "/" if it has none. */
static void find_home(int host_proc, uint32_t uid, char *buf, size_t size)
{
	AUTO_CLOSE int fd = open_passwd(host_proc);
	static char passwd[PASSWD_BYTES_MAX];
	ssize_t len = fd < 0 ? 0 : io_read_all(fd, passwd, sizeof(passwd));

	if (len <= 0 || passwd_find_home(passwd, (size_t)len, uid, buf, size) < 0)
		snprintf(buf, size, "/");
}

/* Is the variable that entry @i sets set again behind it? */
static bool is_set_later(const struct json_strv *env, size_t i)
{
	size_t len = strcspn(env->v[i], "=");

	for (size_t k = i + 1; k < env->n; k++) {
		if (strncmp(env->v[i], env->v[k], len) == 0 && env->v[k][len] == '=')
			return true;
	}
	return false;
}

/* The environment, with LISTEN_FDS and HOME where they are due. The words live until execve. */
static int make_env(const struct process_final *f, char ***ret)
{
	const struct json_strv *given = &f->process->env;
	static char listen_fds[32];
	static char listen_pid[] = "LISTEN_PID=1";
	static char home[PATH_BYTES_MAX] = "HOME=";
	char **env = calloc(given->n + 4, sizeof(char *));
	size_t n = 0;

	if (!env)
		return -ENOMEM;
	/* The last one counts, but getenv() returns the first. */
	for (size_t i = 0; i < given->n; i++) {
		if (!is_set_later(given, i))
			memcpy(&env[n++], &given->v[i], sizeof(char *));
	}
	if (f->listen_fds) {
		snprintf(listen_fds, sizeof(listen_fds), "LISTEN_FDS=%u", f->listen_fds);
		env[n++] = listen_fds;
		env[n++] = listen_pid;
	}
	if (!env_find(given, "HOME")) {
		find_home(f->host_proc, f->process->uid, home + 5, sizeof(home) - 5);
		env[n++] = home;
	}
	*ret = env;
	return 0;
}

/* From here on no descriptor of the runtime is open but @keep and the connection to a seccomp
 * agent: no path, however odd, can lead through one. */
static int drop_descriptors(const struct process_final *f, int *keep, struct err *e)
{
	const unsigned last = 3 + f->preserve_fds;
	/* Both may be anywhere, also where the other one goes: the copies lie above, and go with
	 * all that close_range() finds there. */
	const int kept = fcntl(*keep, F_DUPFD_CLOEXEC, (int)last + 2);
	const int agent =
		f->agent->fd < 0 ? -1 : fcntl(f->agent->fd, F_DUPFD_CLOEXEC, (int)last + 2);

	for (unsigned fd = 3; fd < last; fd++) {
		if (fd_set_cloexec((int)fd, 0) < 0)
			return err_set(e, errno, "--preserve-fds: descriptor %u is not open", fd);
	}
	if (kept < 0 || dup3(kept, (int)last, O_CLOEXEC) < 0)
		return err_set(e, errno, "close descriptors: %s", strerror(errno));
	*keep = (int)last;
	if (f->agent->fd >= 0) {
		if (agent < 0 || dup3(agent, (int)last + 1, O_CLOEXEC) < 0)
			return err_set(e, errno, "close descriptors: %s", strerror(errno));
		f->agent->fd = (int)last + 1;
	}
	if (sys_close_range(last + 1 + (f->agent->fd >= 0), ~0U, 0) < 0)
		return err_set(e, errno, "close descriptors: %s", strerror(errno));
	return 0;
}

static int load_filter(const struct process_final *f, int tell, struct err *e)
{
	int r;

	if (f->agent->fd >= 0)
		return seccomp_load_and_notify(f->filter, f->agent, tell, e);
	r = seccomp_load_filter(f->filter, false);
	return r < 0 ? err_set(e, -r, "linux.seccomp: load the filter: %s", strerror(-r)) : 0;
}

/* A filter may be loaded by CAP_SYS_ADMIN or with no_new_privs: with the latter it is the very last
 * thing, without it the last before the capabilities go. */
static int become_user(const struct process_final *f, int tell, struct err *e)
{
	const struct config_process *p = f->process;
	int r;

	if (p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "process.noNewPrivileges: %s", strerror(errno));
	r = creds_limit_bounding(&p->caps);
	if (r < 0)
		return err_set(e, -r, "process.capabilities.bounding: %s", strerror(-r));
	r = creds_set_ids(p, e);
	if (r == 0 && !p->no_new_privs)
		r = load_filter(f, tell, e);
	if (r == 0)
		r = creds_set_caps(&p->caps, e);
	if (r == 0 && p->no_new_privs)
		r = load_filter(f, tell, e);
	return r;
}

int process_confine(const struct process_final *f, struct err *e)
{
	/* The agent waits for the container's program. For others what the filter would ask it is
	 * not there: seccomp(2) "SECCOMP_RET_USER_NOTIF" without a listener is ENOSYS. */
	struct seccomp_agent nobody = {.fd = -1};
	struct process_final own = *f;
	int r = lsm_label_exec(f->host_proc, f->process, e);

	own.agent = &nobody;
	if (r == 0)
		r = set_limits(f, e);
	return r < 0 ? r : become_user(&own, -1, e);
}

/* Everything between the last stage and execve that does not need the new identity. */
static int set_up(const struct process_final *f, int *keep, struct err *e)
{
	const struct config_process *p = f->process;
	int r = scheduling_apply(f->config, p, e);

	if (r == 0)
		r = lsm_label_exec(f->host_proc, p, e);
	if (r < 0)
		return r;
	if (p->uid != 0)
		give_stdio(p->uid);
	r = enter_cwd(p->cwd);
	if (r < 0)
		return err_set(e, -r, "process.cwd: %s: %s", p->cwd, strerror(-r));
	umask(p->umask.set ? (mode_t)p->umask.v : 022);
	r = drop_descriptors(f, keep, e);
	/* After the descriptors: a limit below their numbers would be in the way. */
	return r < 0 ? r : set_limits(f, e);
}

int process_execute(const struct process_final *f, int *keep, struct err *e)
{
	char *const *args;
	char why[ERROR_WORDS_BYTES];
	char **env = NULL;
	int r = make_env(f, &env);

	if (r < 0)
		return err_set(e, -r, "process.env: out of memory");
	memcpy(&args, &f->process->args.v, sizeof(args)); /* execve changes nothing */
	r = set_up(f, keep, e);
	if (r == 0)
		r = become_user(f, *keep, e);
	if (r == 0) {
		execve(f->path, args, env);
		r = err_set(
			e, errno, "process.args[0]: exec %s: %s", f->path, words_of_go(errno, why));
	}
	free(env);
	return r;
}
