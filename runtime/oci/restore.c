/* restore: CRIU makes processes from the files that checkpoint wrote, in a container made for them.
 */
#include "runtime/oci/restore.h"

#include "lib/base/fd.h"
#include "lib/base/sys.h"
#include "lib/util/path.h"
#include "runtime/oci/names.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MNT_DETACH_FLAG 2 /* MNT_DETACH of sys/mount.h, which clashes with linux/mount.h */

#define AT(member) offsetof(struct restore_options, member)

static const struct option_spec restore_specs[] = {
	CRIU_OPTION_SPECS,
	{"bundle", 'b', OPTION_STR, AT(create.bundle), "directory of config.json"},
	{"pid-file", 0, OPTION_STR, AT(create.pid_file), "file that gets the process's number"},
	{"console-socket", 0, OPTION_STR, AT(create.console_socket),
		"socket that gets the terminal"},
	{"detach", 'd', OPTION_FLAG, AT(create.detach), "return when the container runs"},
	{"no-subreaper", 0, OPTION_IGNORE, 0, ""},
	{"no-pivot", 0, OPTION_REFUSE, 0, "is not supported: every container gets its own root"},
	{"lsm-profile", 0, OPTION_STR, AT(lsm_profile), "TYPE:NAME of another AppArmor profile"},
	{"lsm-mount-context", 0, OPTION_STR, AT(lsm_mount_context), "another SELinux label"},
};

/* Does a file system of the container's own hold @path? Then the images hold its contents. */
static bool is_in_images(const struct config *c, const char *path)
{
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		const size_t n = strlen(m->destination);

		if (m->type && strcmp(m->type, "tmpfs") == 0 &&
			strncmp(path, m->destination, n) == 0 && path[n] == '/')
			return true;
	}
	return false;
}

/* The directories again, on the mounts of this namespace. */
static int open_dirs_again(struct restore *t, struct err *e)
{
	struct criu_dirs dirs = CRIU_NO_DIRS;
	int r = criu_dirs_open(&t->opts.common, false, &dirs, e);

	if (r < 0)
		return r;
	t->inherit[0] = dirs.images;
	if (dirs.work >= 0)
		t->inherit[1] = dirs.work;
	return 0;
}

/* A copy of the root file system on the state's directory: CRIU wants a mount point. */
static int attach_root(const struct restore *t, struct err *e)
{
	AUTO_CLOSE int place = open(t->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int tree = sys_open_tree(
		AT_FDCWD, t->n.rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int r = place < 0 || tree < 0 ? -errno : mount_attach(tree, place);

	return r < 0 ? err_set(e, -r, "root.path: attach %s: %s", t->n.rootfs, strerror(-r))
		     : TAKE_FD(tree);
}

/* Make the place of a mount, and put a bind's source there for the places of those below it. */
static int make_place(const struct restore *t, int root, size_t i)
{
	const struct config_mount *m = &t->n.config.mounts[i];
	AUTO_CLOSE int source = -1;
	AUTO_CLOSE int place = -1;
	struct stat st = {.st_mode = S_IFDIR};
	int r = 0;

	if (m->options.bind) {
		source = sys_open_tree(t->n.bundlefd, m->source,
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (source < 0 || fstat(source, &st) < 0)
			return -errno;
	}
	if (!S_ISDIR(st.st_mode))
		r = path_make_file_through_links(root, m->destination, 0644);
	if (r < 0)
		return r;
	place = S_ISDIR(st.st_mode) ? path_make_dirs_through_links(root, m->destination, 0755)
				    : path_open_in_root(root, m->destination, O_PATH, 0);
	if (place < 0)
		return place;
	return source < 0 ? 0 : mount_attach(source, place);
}

/*
 * In CRIU's process, before it is CRIU: a mount namespace in which the root file system is a mount
 * point and every mount has its place. Nothing of it is seen on the host, or left there.
 */
static int prepare(void *arg, struct err *e)
{
	struct restore *t = arg;
	const struct config *c = &t->n.config;
	struct mount_attr slave = {.propagation = MS_SLAVE};
	AUTO_CLOSE int root = -1;
	AUTO_CLOSE int fresh = -1;

	if (unshare(CLONE_NEWNS) < 0 ||
		sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &slave, sizeof(slave)) < 0)
		return err_set(
			e, errno, "restore: detach mounts from the host's: %s", strerror(errno));
	if (open_dirs_again(t, e) < 0)
		return -e->code;
	root = attach_root(t, e);
	if (root < 0)
		return TAKE_FD(root);
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct config_mount *m = &c->mounts[i];
		int r;

		/* The places in sysfs are the kernel's. */
		if (m->options.remount || (m->type && strncmp(m->type, "cgroup", 6) == 0) ||
			is_in_images(c, m->destination))
			continue;
		r = make_place(t, root, i);
		if (r < 0)
			return err_set(e, -r, "mounts[%zu]: make the place %s: %s", i,
				m->destination, strerror(-r));
	}
	/* Without the sources: CRIU mounts them itself. */
	if (sys_umount2(t->place, MNT_DETACH_FLAG) < 0)
		return err_set(e, errno, "root.path: %s", strerror(errno));
	fresh = attach_root(t, e);
	return fresh < 0 ? TAKE_FD(fresh) : 0;
}

/* CRIU restores into a time namespace, where the container had none of its own, too. */
static void note_time_namespace(struct creation *n)
{
	struct stat own;
	struct stat its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/time", n->pid);
	if (stat("/proc/self/ns/time", &own) == 0 && stat(path, &its) == 0 &&
		own.st_ino != its.st_ino)
		n->h.state.namespaces |= 1U << NS_TIME;
}

static int run_hooks(struct creation *n, enum hook_kind kind, struct err *e)
{
	return n->config.hooks[kind].n ? run_stored_hooks(&n->h, kind, STATUS_CREATING, e) : 0;
}

static int take_terminal(struct restore *t, int master, struct err *e)
{
	const char *path = t->opts.create.console_socket;
	AUTO_CLOSE int sock = -1;
	int r;

	if (master < 0)
		return err_set(e, EBADMSG, "criu: sent no terminal");
	if (!path) {
		fd_close(&t->master);
		t->master = fcntl(master, F_DUPFD_CLOEXEC, 3);
		return 0;
	}
	sock = connect_unix("--console-socket", path, e);
	if (sock < 0)
		return sock;
	r = console_send(sock, master);
	return r < 0 ? err_set(e, -r, "--console-socket: send to %s: %s", path, strerror(-r)) : 0;
}

/* root.readonly: CRIU leaves the root as it was given, and needs to write there. Only from inside a
 * mount namespace can its mounts be changed. */
static int protect_root(const struct creation *n, struct err *e)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	int status = 0;
	pid_t pid;

	if (!n->config.root_readonly)
		return 0;
	pid = fork();
	if (pid == 0) {
		if (setns(n->pidfd, CLONE_NEWNS) < 0 ||
			sys_mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
			_exit(errno);
		_exit(0);
	}
	if (pid < 0)
		return err_set(e, errno, "root.readonly: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_set(e, errno, "root.readonly: %s", strerror(errno));
	}
	if (status != 0)
		return err_set(e, EIO, "root.readonly: %s",
			WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "killed");
	return 0;
}

/* The processes are there and wait: it is written down before they go on. */
static int take_process(struct restore *t, pid_t pid, struct err *e)
{
	struct creation *n = &t->n;
	struct state *s = &n->h.state;
	bool zombie;
	int r;

	n->pidfd = pid > 0 ? sys_pidfd_open(pid, 0) : -1;
	if (n->pidfd < 0)
		return err_set(e, pid > 0 ? errno : EBADMSG,
			"criu: process %d of the container: %s", pid,
			strerror(pid > 0 ? errno : EBADMSG));
	n->pid = pid;
	s->pid = (struct json_opt_i64){true, pid};
	s->start_time.set = true;
	r = process_start_time(pid, &s->start_time.v, &zombie);
	if (r < 0)
		return err_set(e, -r, "look at the container's process: %s", strerror(-r));
	note_time_namespace(n);
	r = protect_root(n, e);
	if (r == 0)
		r = state_save(s, n->h.dirfd, e);
	if (r == 0 && n->opts->pid_file)
		r = write_pid_file(n->opts->pid_file, pid, e);
	n->wrote_pid_file = r == 0 && n->opts->pid_file;
	return r;
}

static int notified(void *arg, const struct criu_response *r, int fd, struct err *e)
{
	struct restore *t = arg;
	int n;

	if (criu_text_is(&r->script, "orphan-pts-master"))
		return take_terminal(t, fd, e);
	if (criu_text_is(&r->script, "post-restore"))
		return take_process(t, r->notify_pid, e);
	if (!criu_text_is(&r->script, "setup-namespaces"))
		return 0;
	t->n.h.state.pid = (struct json_opt_i64){true, r->notify_pid};
	n = run_hooks(&t->n, HOOK_PRESTART, e);
	return n < 0 ? n : run_hooks(&t->n, HOOK_CREATE_RUNTIME, e);
}

static int call(struct restore *t, const char *program, struct err *e)
{
	AUTO_CRIU_WRITER struct criu_writer opts = {0};
	AUTO_CRIU_WRITER struct criu_writer request = {0};
	struct criu_call c = {
		.program = program,
		.request = &request,
		.notified = notified,
		.prepare = prepare,
		.arg = t,
		.inherit = t->inherit,
		.cgroup = t->n.c.cgroup,
		.keeps_stdio = true,
	};
	struct criu_response got;
	int r = restore_put_options(t, &opts, e);

	if (r < 0)
		return r;
	c.n_inherit = t->n_inherit;
	criu_put_request(&request, CRIU_RESTORE, &opts);
	r = criu_call(&c, &got, e);
	if (r == 0 && t->n.pidfd < 0)
		r = err_set(e, EBADMSG, "criu: answered before its processes were there");
	if (r == 0)
		return 0;
	criu_dirs_explain(&t->dirs, CRIU_RESTORE_LOG, e);
	return err_wrap(e, "restore container %s", t->n.h.state.id);
}

/* Where CRIU finds the root: the state's own directory, which nobody needs by its path meanwhile.
 */
static int name_place(struct restore *t, struct err *e)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", t->n.h.dirfd);
	n = readlink(link, t->place, sizeof(t->place) - 1);
	if (n < 0)
		return err_set(e, errno, "--root: %s", strerror(errno));
	t->place[n] = '\0';
	return 0;
}

static int restore(struct restore *t, const struct globals *g, struct err *e)
{
	int r = creation_make_state(&t->n, e);

	if (r == 0)
		r = name_place(t, e);
	if (r == 0)
		r = creation_make_filter(&t->n, e);
	if (r == 0)
		r = creation_make_cgroup(&t->n, e);
	if (r == 0)
		r = call(t, g->criu, e);
	if (r == 0)
		handle_unlock(&t->n.h);
	return r;
}

/* Everything that can be refused before anything is made. */
static int check(struct restore *t, const struct globals *g, const char *id, struct err *e)
{
	const bool terminal_goes = t->opts.create.console_socket || !t->opts.create.detach;
	int r = creation_load(&t->n, g, id, e);

	if (r == 0 && t->n.config.process.terminal && !terminal_goes)
		r = err_set(e, EINVAL, "process.terminal: needs --console-socket with --detach");
	if (r == 0)
		r = criu_dirs_open(&t->opts.common, false, &t->dirs, e);
	if (r == 0)
		r = criu_check_version(g->criu, e);
	if (r < 0)
		return r;
	t->n.h.rootfd = state_open_root(g->root, e);
	return t->n.h.rootfd < 0 ? t->n.h.rootfd : 0;
}

int cmd_restore(const struct globals *g, char **args, struct err *e)
{
	struct restore t = {.dirs = CRIU_NO_DIRS, .master = -1};
	int r = options_parse_mixed(FIELDS(restore_specs), args, &t.opts, &args, e);

	if (r == 0)
		r = args_count(args, 1, 1, "restore [options] ID", e);
	if (r < 0)
		return r;
	creation_init(&t.n, &t.opts.create);
	r = check(&t, g, args[0], e);
	if (r < 0)
		return r;
	if (!t.opts.create.detach)
		foreground_block(&t.n.forwarded);
	r = restore(&t, g, e);
	if (r < 0) {
		creation_undo(&t.n, args[0]);
		return r;
	}
	return t.opts.create.detach ? 0 : creation_stay(&t.n, args[0], t.master, e);
}
