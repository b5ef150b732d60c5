#include "runtime/oci/checkpoint.h"

#include "lib/base/fd.h"
#include "runtime/oci/criu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* CRIU's most talkative but one: what runc asks for, and what its authors want to see of a bug. */
#define LOG_LEVEL 4

static int make_dirs(const char *path)
{
	char *copy = strdup(path);
	char *p = copy;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && p) {
		p = strchr(p + 1, '/');
		if (p)
			*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			r = -errno;
		if (p)
			*p = '/';
	}
	free(copy);
	return r;
}

static int open_dir(const char *option, const char *path, bool make, struct err *e)
{
	int r = make ? make_dirs(path) : 0;
	int fd = r < 0 ? r : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, r < 0 ? -r : errno, "%s: %s %s: %s", option,
			r < 0 ? "make" : "open", path, strerror(r < 0 ? -r : errno));
	return fd;
}

int criu_dirs_open(const struct criu_options *o, bool make, struct criu_dirs *ret, struct err *e)
{
	ret->images_path = o->image_path ? o->image_path : "checkpoint";
	ret->log_path = o->work_path ? o->work_path : ret->images_path;
	ret->images = open_dir("--image-path", ret->images_path, make, e);
	if (ret->images < 0)
		return ret->images;
	if (o->work_path)
		ret->work = open_dir("--work-path", o->work_path, true, e);
	return o->work_path && ret->work < 0 ? ret->work : 0;
}

void criu_dirs_close(struct criu_dirs *d)
{
	fd_close(&d->images);
	fd_close(&d->work);
}

void criu_dirs_explain(const struct criu_dirs *d, const char *name, struct err *e)
{
	criu_explain(d->work >= 0 ? d->work : d->images, d->log_path, name, e);
}

static const struct config_word cgroup_modes[] = {
	{"soft", CRIU_CGROUPS_SOFT},
	{"full", CRIU_CGROUPS_FULL},
	{"strict", CRIU_CGROUPS_STRICT},
	{"ignore", CRIU_CGROUPS_IGNORE},
};

/* The engine's annotation for a configuration file of CRIU's; "" is none at all. */
static const char *config_file(const struct config *c)
{
	yyjson_val *given = yyjson_obj_get(c->annotations, "org.criu.config");

	return given ? yyjson_get_str(given) : "/etc/criu/runc.conf";
}

int criu_put_common(struct criu_writer *opts, const struct criu_options *o,
	const struct criu_dirs *d, const struct config *c, const char *log, struct err *e)
{
	uint64_t mode = CRIU_CGROUPS_DEFAULT;
	const char *file = config_file(c);

	if (o->cgroups_mode && config_find_word(FIELDS(cgroup_modes), o->cgroups_mode, &mode) < 0)
		return err_set(e, EINVAL,
			"--manage-cgroups-mode: expected soft, full, strict or ignore, got \"%s\"",
			o->cgroups_mode);
	for (size_t i = 0; i < o->empty_ns.n; i++) {
		if (strcmp(o->empty_ns.v[i], "network") != 0)
			return err_set(e, EINVAL, "--empty-ns: expected network, got \"%s\"",
				o->empty_ns.v[i]);
	}
	criu_put_number(opts, CRIU_IMAGES_DIR_FD, d->images);
	if (d->work >= 0)
		criu_put_number(opts, CRIU_WORK_DIR_FD, d->work);
	criu_put_number(opts, CRIU_LOG_LEVEL, LOG_LEVEL);
	criu_put_text(opts, CRIU_LOG_FILE, log);
	criu_put_number(opts, CRIU_NOTIFY_SCRIPTS, true);
	criu_put_number(opts, CRIU_TCP_ESTABLISHED, o->tcp_established);
	criu_put_number(opts, CRIU_EXT_UNIX_SK, o->ext_unix_sk);
	criu_put_number(opts, CRIU_SHELL_JOB, o->shell_job);
	criu_put_number(opts, CRIU_FILE_LOCKS, o->file_locks);
	criu_put_number(opts, CRIU_AUTO_DEDUP, o->auto_dedup);
	criu_put_number(opts, CRIU_ORPHAN_PTS_MASTER, true);
	criu_put_number(opts, CRIU_MANAGE_CGROUPS, true);
	criu_put_number(opts, CRIU_MANAGE_CGROUPS_MODE, (int64_t)mode);
	/* Interfaces and addresses are the engine's, which makes them anew. */
	criu_put_number(opts, CRIU_EMPTY_NS, CLONE_NEWNET);
	if (file && file[0])
		criu_put_text(opts, CRIU_CONFIG_FILE, file);
	return 0;
}

const char *criu_external_name(enum ns_type type)
{
	/* runc's names: they are in the images. */
	static const char *const names[NS_N] = {
		[NS_NET] = "extRootNetNS", [NS_PID] = "extRootPidNS"};

	return names[type];
}
