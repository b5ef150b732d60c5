/* Opening the engine: its directories and records, and the containers that run already. */
#include "runtime/engine/engine.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/util/rmtree.h"
#include "runtime/engine/container.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/health.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"
#include "runtime/engine/stage.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Make a directory and what is missing above it. @path is the administrator's own. */
static int make_dir(const char *path, mode_t mode, struct err *e)
{
	char part[4096];

	for (const char *end = path; end;) {
		end = strchr(end + 1, '/');
		(void)snprintf(part, sizeof(part), "%.*s",
			end ? (int)(end - path) : (int)strlen(path), path);
		if (mkdir(part, end ? 0755 : mode) < 0 && errno != EEXIST)
			return err_set(e, errno, "make %s: %s", part, strerror(errno));
	}
	return 0;
}

/* The id of this machine's engine: made once. */
static int read_id(struct engine *en, struct err *e)
{
	char made[CONTAINER_ID_BYTES];
	AUTO_CLOSE int fd = -1;
	int r;

	if (io_read_file_at(en->root, "engine-id", en->id, sizeof(en->id)) == 36)
		return 0;
	if (id_make(made) < 0)
		return err_set(e, EIO, "no random numbers");
	(void)snprintf(en->id, sizeof(en->id), "%.8s-%.4s-%.4s-%.4s-%.12s", made, made + 8,
		made + 12, made + 16, made + 20);
	fd = openat(en->root, "engine-id", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : io_write_all(fd, en->id, strlen(en->id));
	return r < 0 ? err_set(e, -r, "write engine-id: %s", strerror(-r)) : 0;
}

static int is_container(void *arg, const char *name)
{
	struct err unknown = {0};
	struct container *c;

	if (container_get(arg, name, &c, &unknown) < 0)
		return 0;
	container_put(c);
	return 1;
}

/* Directories of containers that are on no record: made and not finished, or removed in part. */
static int sweep_containers(struct engine *en, struct err *e)
{
	AUTO_CLOSE int fd = openat(en->root, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : rmtree_contents_but(fd, is_container, en);

	return r < 0 ? err_set(e, -r, "sweep containers: %s", strerror(-r)) : 0;
}

int engine_open(struct engine *en, const struct engine_paths *paths,
	const struct registry_settings *registries, struct err *e)
{
	char path[4096];
	int r;

	*en = (struct engine){.paths = *paths,
		.registries = *registries,
		.root = -1,
		.started_ns = realtime_ns()};
	pthread_mutex_init(&en->lock, NULL);
	health_init(en);
	events_init(&en->events);
	r = make_dir(paths->root, 0711, e);
	if (r == 0)
		r = make_dir(paths->run, 0700, e);
	if (r < 0)
		return r;
	en->root = open(paths->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (en->root < 0 || (mkdirat(en->root, "containers", 0711) < 0 && errno != EEXIST))
		return err_set(e, errno, "open %s: %s", paths->root, strerror(errno));
	(void)snprintf(path, sizeof(path), "%s/sampan.db", paths->root);
	r = read_id(en, e);
	if (r == 0)
		r = db_open(&en->db, path, e);
	if (r == 0)
		r = image_store_open(&en->images, en->root, &en->db, e);
	if (r == 0)
		r = volumes_open(en, e);
	if (r == 0)
		r = initlink_open(&en->init, paths->init, e);
	if (r == 0)
		r = stdio_loop_start(&en->stdio, e);
	if (r == 0)
		r = container_load_all(en, e);
	/* Nothing of ours stays mounted there: a container has copies. */
	stage_clear_all(en);
	return r < 0 ? r : sweep_containers(en, e);
}

/* Take back the descriptors that init kept for a container that runs. */
static int take_back(struct engine *en, struct container *c, struct err *e)
{
	struct stdio *io = container_io(en, c);
	char name[INIT_FD_NAME_BYTES];
	unsigned i = 0;
	int fd;
	int r;

	if (!io)
		return err_set(e, ENOMEM, "out of memory");
	while ((fd = initlink_give_fd(&en->init, c->id, i++, name, e)) >= 0) {
		if (strcmp(name, "stdin") == 0)
			io->in = fd;
		else if (strcmp(name, "stdout") == 0)
			io->out[LOG_STDOUT].fd = fd;
		else if (strcmp(name, "stderr") == 0)
			io->out[LOG_STDERR].fd = fd;
		else
			close(fd);
	}
	r = fd == -ENOENT ? container_open_log(en, c, io, e) : fd;
	if (r == 0)
		r = stdio_start(io, e);
	stdio_unref(io);
	return r;
}

int engine_adopted(struct engine *en, const char *id, struct err *e)
{
	struct init_exit x;
	int r;

	for (unsigned i = 0; (r = initlink_adopted(&en->init, i, &x, e)) == 0; i++)
		if (strcmp(x.h.id, id) == 0)
			return x.code ? ADOPTED_ENDED : ADOPTED_RUNS;
	return r == -ENOENT ? ADOPTED_NOT : r;
}

static void *start_again(void *arg)
{
	struct engine *en = arg;
	struct container **list = container_list(en);

	for (size_t i = 0; list && list[i]; i++) {
		struct container_state s = container_state(en, list[i]);
		const char *policy = spec_str(
			yyjson_obj_get(container_host_config(list[i]), "RestartPolicy"), "Name");
		bool wanted = strcmp(policy, "always") == 0 ||
			      (strcmp(policy, "unless-stopped") == 0 && !s.stopped_by_hand);
		struct err e = {0};

		/* The last engine did not get to it. */
		if (s.status == CONTAINER_EXITED &&
			yyjson_get_bool(
				yyjson_obj_get(container_host_config(list[i]), "AutoRemove")) &&
			container_remove(en, list[i], false, true, &e) < 0)
			log_error("container %.12s: %s", list[i]->id, e.msg);
		if (!list[i]->declared && wanted && !container_runs(&s) &&
			container_start(en, list[i], &e) < 0)
			log_error("container %.12s: %s", list[i]->id, e.msg);
		container_put(list[i]);
	}
	free(list);
	return NULL;
}

int container_recover(struct engine *en, struct err *e)
{
	struct container **list = container_list(en);
	pthread_t thread;
	int r = list ? 0 : err_set(e, ENOMEM, "out of memory");

	for (size_t i = 0; list && list[i]; i++) {
		struct container *c = list[i];
		struct container_state s = container_state(en, c);
		int adopted = r == 0 && container_runs(&s) ? engine_adopted(en, c->id, e) : 0;

		if (adopted < 0)
			r = adopted;
		if (r == 0 && adopted) {
			mountpoints_taken_already(en, c);
			r = take_back(en, c, e);
		}
		if (r == 0)
			health_load(en, c);
		/* The machine went down with it. */
		if (r == 0 && !adopted &&
			(container_runs(&s) || s.status == CONTAINER_RESTARTING)) {
			s.exit_code = container_runs(&s) ? 255 : s.exit_code;
			s.finished_ns = container_runs(&s) ? realtime_ns() : s.finished_ns;
			s.status = CONTAINER_EXITED;
			s.pid = 0;
			container_set_state(en, c, &s);
			container_oci_delete(en, c);
		}
		if (r == 0)
			health_update(en, c);
		container_put(c);
	}
	free(list);
	if (r == 0)
		r = volumes_recover(en, e);
	if (r == 0)
		r = exec_recover(en, e);
	if (r == 0 && pthread_create(&thread, NULL, start_again, en) == 0)
		pthread_detach(thread);
	return r;
}

int signal_parse(const char *word, struct err *e)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
		{"HUP", SIGHUP},
		{"INT", SIGINT},
		{"QUIT", SIGQUIT},
		{"ILL", SIGILL},
		{"TRAP", SIGTRAP},
		{"ABRT", SIGABRT},
		{"BUS", SIGBUS},
		{"FPE", SIGFPE},
		{"KILL", SIGKILL},
		{"USR1", SIGUSR1},
		{"SEGV", SIGSEGV},
		{"USR2", SIGUSR2},
		{"PIPE", SIGPIPE},
		{"ALRM", SIGALRM},
		{"TERM", SIGTERM},
		{"STKFLT", SIGSTKFLT},
		{"CHLD", SIGCHLD},
		{"CONT", SIGCONT},
		{"STOP", SIGSTOP},
		{"TSTP", SIGTSTP},
		{"TTIN", SIGTTIN},
		{"TTOU", SIGTTOU},
		{"URG", SIGURG},
		{"XCPU", SIGXCPU},
		{"XFSZ", SIGXFSZ},
		{"VTALRM", SIGVTALRM},
		{"PROF", SIGPROF},
		{"WINCH", SIGWINCH},
		{"IO", SIGIO},
		{"PWR", SIGPWR},
		{"SYS", SIGSYS},
	};
	const char *bare = strncasecmp(word, "SIG", 3) == 0 ? word + 3 : word;
	char *end;
	long number = strtol(word, &end, 10);

	if (word[0] && !*end && number > 0 && number <= 64)
		return (int)number;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(bare, names[i].name) == 0)
			return names[i].number;
	/* RTMIN+3, RTMAX-1: the kernel's 34 to 64, as Docker counts */
	if (strncasecmp(bare, "RTMIN", 5) == 0 || strncasecmp(bare, "RTMAX", 5) == 0) {
		long base = strncasecmp(bare, "RTMIN", 5) == 0 ? 34 : 64;
		long more = bare[5] ? strtol(bare + 5, &end, 10) : 0;

		if ((!bare[5] || !*end) && base + more >= 34 && base + more <= 64)
			return (int)(base + more);
	}
	return err_set(e, EINVAL, "invalid signal: %.32s", word);
}
