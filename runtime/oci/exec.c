/* exec: one more process in a running container. */
#include "runtime/oci/exec.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/cgroup.h"
#include "runtime/oci/names.h"
#include "runtime/oci/oom_score.h"
#include "runtime/oci/scheduling.h"
#include "runtime/oci/sync.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define AT(member) offsetof(struct exec_options, member)

static const struct option_spec exec_specs[] = {
	{"process", 'p', OPTION_STR, AT(process), "file with the process in JSON"},
	{"user", 'u', OPTION_STR, AT(user), "UID[:GID]"},
	{"cwd", 0, OPTION_STR, AT(cwd), "working directory"},
	{"env", 'e', OPTION_LIST, AT(env), "NAME=value, may be given again"},
	{"cap", 'c', OPTION_LIST, AT(caps), "capability to add, may be given again"},
	{"additional-gids", 'g', OPTION_LIST, AT(gids), "group to add, may be given again"},
	{"pid-file", 0, OPTION_STR, AT(pid_file), "file that gets the process's number"},
	{"console-socket", 0, OPTION_STR, AT(console_socket), "socket that gets the terminal"},
	{"pidfd-socket", 0, OPTION_STR, AT(pidfd_socket), "socket that gets the process's pidfd"},
	{"handover-fd", 0, OPTION_U32, AT(handover_fd),
		"with --detach: socket that gets number and pidfd, and answers with a byte"},
	{"preserve-fds", 0, OPTION_U32, AT(preserve_fds), "descriptors behind 2 to hand on"},
	{"apparmor", 0, OPTION_STR, AT(apparmor), "AppArmor profile"},
	{"process-label", 0, OPTION_STR, AT(process_label), "SELinux label"},
	{"tty", 't', OPTION_FLAG, AT(tty), "give it a terminal"},
	{"detach", 'd', OPTION_FLAG, AT(detach), "return when it runs"},
	{"no-new-privs", 0, OPTION_FLAG, AT(no_new_privs), "no new privileges by execve"},
	{"ignore-paused", 0, OPTION_FLAG, AT(ignore_paused), "also in a paused container"},
	{"no-subreaper", 0, OPTION_IGNORE, 0, ""},
	{"cgroup", 0, OPTION_STR, AT(cgroup), "cgroup below the container's, which must be there"},
};

/* --cgroup: a cgroup below the container's own, made by whoever wants it. */
static int open_sub_cgroup(struct exec *x, struct err *e)
{
	const char *path = x->opts.cgroup;
	int fd;

	if (!path)
		return 0;
	if (strchr(path, ':'))
		return err_set(e, ENOTSUP,
			"--cgroup: \"%s\": a path for one controller is for cgroup v1", path);
	if (x->cgroup < 0)
		return err_set(e, ENOENT, "--cgroup: container %s has no cgroup", x->h.state.id);
	fd = path_open_in_root(x->cgroup, path, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return err_set(e, -fd, "--cgroup: open %s below the container's cgroup: %s", path,
			strerror(-fd));
	fd_close(&x->cgroup);
	x->cgroup = fd;
	return 0;
}

static int open_target(struct exec *x, struct err *e)
{
	const char *id = x->h.state.id;
	int status = handle_status(&x->h, e);

	if (status < 0)
		return status;
	if (status == STATUS_PAUSED && !x->opts.ignore_paused)
		return err_set(e, EBUSY, "cannot exec in paused container %s", id);
	x->target = state_open_process(&x->h.state);
	if (x->target < 0)
		return err_set(e, -x->target, "cannot exec in container %s: %s", id,
			x->target == -ESRCH ? "it is not running" : strerror(-x->target));
	x->cgroup = handle_cgroup(&x->h);
	/* Outside of it no limit would hold. */
	if (x->cgroup < 0 && x->h.state.cgroup && x->h.state.cgroup[0])
		return err_set(e, -x->cgroup, "open cgroup %s: %s", x->h.state.cgroup,
			strerror(-x->cgroup));
	x->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return x->host_proc < 0 ? err_set(e, errno, "open /proc: %s", strerror(errno)) : 0;
}

static int check_handover(const struct exec *x, struct err *e)
{
	const struct exec_options *o = &x->opts;

	if (!o->handover_fd)
		return 0;
	if (!o->detach)
		return err_set(e, EINVAL, "--handover-fd: needs --detach");
	if (o->handover_fd < 3 + x->preserve_fds || o->handover_fd > INT32_MAX ||
		fd_set_cloexec((int)o->handover_fd, 1) < 0)
		return err_set(e, EBADF,
			"--handover-fd: %u is no descriptor behind those of the process",
			o->handover_fd);
	return 0;
}

static int open_terminal(struct exec *x, struct err *e)
{
	int pair[2];

	if (!x->process.terminal)
		return x->opts.console_socket
			       ? err_set(e, EINVAL,
					 "--console-socket: the process asks for no terminal")
			       : 0;
	if (x->opts.console_socket) {
		x->console = connect_unix("--console-socket", x->opts.console_socket, e);
		return x->console < 0 ? x->console : 0;
	}
	if (x->opts.detach)
		return err_set(e, EINVAL, "--tty: needs --console-socket with --detach");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "--tty: %s", strerror(errno));
	x->console = pair[0];
	x->own_console = pair[1];
	return 0;
}

/* All namespaces at once, through the process that is in them. One that the host owns refuses the
 * rights of the container's user namespace: then the host's enter first. */
static int enter(const struct exec *x, struct err *e)
{
	bool user = x->h.state.namespaces & 1U << NS_USER;
	uint64_t flags = 0;

	for (enum ns_type t = 0; t < NS_N; t++) {
		if (t != NS_PID && x->h.state.namespaces & 1U << t)
			flags |= ns_clone_flag(t);
	}
	if (x->in_user_ns)
		flags &= ~(uint64_t)CLONE_NEWUSER;
	if (setns(x->target, (int)flags) < 0) {
		if (errno != EPERM || !(flags & CLONE_NEWUSER) ||
			setns(x->target, (int)(flags & ~(uint64_t)CLONE_NEWUSER)) < 0 ||
			setns(x->target, CLONE_NEWUSER) < 0)
			return err_set(
				e, errno, "enter the container's namespaces: %s", strerror(errno));
	}
	if (user && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return err_set(e, errno, "become root inside: %s", strerror(errno));
	return 0;
}

static int take_terminal(const struct exec *x, struct err *e)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int master = -1;
	AUTO_CLOSE int peer = -1;
	int r = console_open(root, &x->process, false, &master, &peer, e);

	if (r < 0)
		return r;
	r = console_send(x->console, master);
	if (r < 0)
		return err_set(e, -r, "--console-socket: send the terminal: %s", strerror(-r));
	return console_become(peer, e);
}

static int child_steps(struct exec *x, struct err *e)
{
	struct process_final final = {
		.config = &x->config,
		.process = &x->process,
		.filter = &x->filter,
		.agent = &x->agent,
		.preserve_fds = x->preserve_fds,
		.listen_fds = x->listen_fds,
		.host_proc = x->host_proc,
	};
	int r = scheduling_affinity_final(&x->process, e);

	if (r == 0)
		r = process_raise_limits(0, &x->process, e);
	/* The container's user namespace may deny it. */
	(void)setgroups(0, NULL);
	if (r == 0)
		r = enter(x, e);
	if (r == 0 && setsid() < 0)
		r = err_set(e, errno, "make a session: %s", strerror(errno));
	/* A new one, as for the first process; not the container's by its name. */
	if (r == 0 && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		r = err_set(e, errno, "make a session keyring: %s", strerror(errno));
	if (r == 0 && x->process.terminal)
		r = take_terminal(x, e);
	if (r == 0)
		r = process_prepare(&x->process, &final.path, e);
	if (r == 0 && x->agent.fd >= 0)
		r = seccomp_agent_describe(&x->agent, &x->config.seccomp, &x->h.state,
			STATUS_RUNNING, false, x->host_proc, e);
	return r < 0 ? r : process_execute(&final, &x->sync, e);
}

static _Noreturn void exec_child(struct exec *x)
{
	struct err e = {0};

	process_reset_signals();
	prctl(PR_SET_NAME, "oci:exec", 0, 0, 0);
	if (child_steps(x, &e) < 0)
		(void)sync_send_error(x->sync, &e);
	_exit(1);
}

/* The cgroup that the first process is in now: a container that made cgroups of its own has nothing
 * in the upper one any more, and nothing may be added there. */
static int open_actual_cgroup(const struct exec *x)
{
	AUTO_CLOSE int root = cgroup_open_root();
	char text[CGROUP_PATH_MAX + 64];
	char path[64];
	char *line;

	snprintf(path, sizeof(path), "%d/cgroup", (int)x->h.state.pid.v);
	if (root < 0 || io_read_file_at(x->host_proc, path, text, sizeof(text)) < 0)
		return -1;
	/* The line, not a cgroup of version 1 that is called so. */
	line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
	if (!line)
		return -1;
	line += strspn(line, "\n");
	line[strcspn(line, "\n")] = '\0';
	return openat(root, line + 4, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static pid_t clone_process(struct exec *x)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (uintptr_t)&x->pidfd};

	if (x->cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)x->cgroup;
	}
	return sys_clone3(&args, sizeof(args));
}

/* Only children get into a pid namespace: ours, which saves one process in between. An ordinary
 * user has the right to it in the user namespace that owns it. */
static int enter_pid_namespace(struct exec *x)
{
	const unsigned both = 1U << NS_PID | 1U << NS_USER;

	if (!(x->h.state.namespaces & 1U << NS_PID) || setns(x->target, CLONE_NEWPID) == 0)
		return 0;
	if (errno != EPERM || (x->h.state.namespaces & both) != both ||
		setns(x->target, CLONE_NEWUSER | CLONE_NEWPID) < 0)
		return -errno;
	x->in_user_ns = true;
	return 0;
}

static int spawn(struct exec *x, struct err *e)
{
	struct oom_score oom;
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "socketpair: %s", strerror(errno));
	r = oom_score_take(&x->process.oom_score_adj, x->host_proc, &oom, e);
	if (r < 0)
		return r;
	/* From here the container could look at our process: it is not to be read. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "hide the runtime's process: %s", strerror(errno));
	r = enter_pid_namespace(x);
	if (r < 0)
		return err_set(e, -r, "enter the container's pid namespace: %s", strerror(-r));
	x->sync = pair[1];
	x->pid = clone_process(x);
	/* Not from one that was asked for by name. */
	if (x->pid < 0 && errno == EBUSY && !x->opts.cgroup) {
		fd_close(&x->cgroup);
		x->cgroup = open_actual_cgroup(x);
		x->pid = clone_process(x);
	}
	if (x->pid == 0) {
		close(pair[0]);
		exec_child(x);
	}
	oom_score_restore(&oom);
	close(pair[1]);
	fd_close(&x->agent.fd);
	x->sync = pair[0];
	return x->pid < 0 ? err_set(e, errno, "make the process: %s", strerror(errno)) : 0;
}

static int watch(struct exec *x, struct err *e)
{
	struct sync_msg msg;
	int master = -1;
	int r = sync_recv(x->sync, &msg, e);

	if (r == 0 && x->opts.pid_file)
		r = write_pid_file(x->opts.pid_file, x->pid, e);
	if (r == 0)
		r = send_pidfd(x->opts.pidfd_socket, x->pidfd, e);
	if (r == 0 && x->opts.handover_fd)
		r = hand_over((int)x->opts.handover_fd, x->pid, x->pidfd, e);
	if (r != 0) {
		(void)sys_pidfd_send_signal(x->pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, (id_t)x->pidfd, &(siginfo_t){0}, WEXITED);
		return r < 0 ? r : err_set(e, EBADMSG, "the process answered %d", r);
	}
	if (x->opts.detach)
		return 0;
	if (x->own_console >= 0) {
		master = console_receive(x->own_console);
		if (master < 0)
			return err_set(e, -master, "--tty: %s", strerror(-master));
	}
	return foreground(x->pidfd, master, &x->forwarded, e);
}

int cmd_exec(const struct globals *g, char **args, struct err *e)
{
	struct exec x = {.h = {.rootfd = -1, .dirfd = -1},
		.host_proc = -1,
		.target = -1,
		.cgroup = -1,
		.console = -1,
		.own_console = -1,
		.agent = {.fd = -1},
		.pidfd = -1};
	int r = options_parse(FIELDS(exec_specs), args, &x.opts, &args, e);

	if (r == 0)
		r = args_count(args, x.opts.process ? 1 : 2, -1, "exec [options] ID COMMAND…", e);
	if (r == 0)
		r = count_preserved(x.opts.preserve_fds, &x.preserve_fds, &x.listen_fds, e);
	if (r == 0)
		r = check_handover(&x, e);
	if (r == 0)
		r = handle_open(&x.h, g, args[0], e);
	if (r == 0)
		r = open_target(&x, e);
	if (r == 0)
		r = open_sub_cgroup(&x, e);
	if (r == 0)
		r = exec_load_process(&x, args + 1, e);
	if (r == 0)
		r = seccomp_restore(&x.filter, x.h.dirfd, "seccomp", e);
	if (r == 0)
		r = open_terminal(&x, e);
	if (r == 0 && x.config.seccomp.notifies) {
		x.agent.fd = seccomp_agent_connect(x.config.seccomp.listener_path, e);
		r = x.agent.fd;
	}
	if (r < 0)
		return r;
	warn_capabilities(&x.config, &x.process);
	r = scheduling_affinity_initial(&x.process, e);
	if (r < 0)
		return r;
	if (!x.opts.detach)
		foreground_block(&x.forwarded);
	r = spawn(&x, e);
	return r < 0 ? r : watch(&x, e);
}
