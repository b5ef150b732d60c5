/* Records of exec instances: RUN/exec/ID, a file that appears by rename. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/base/log.h"
#include "lib/base/sys.h"
#include "lib/base/time.h"
#include "runtime/engine/container.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/limits.h"
#include "runtime/engine/spec.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const status_names[EXEC_STATUSES] = {
	[EXEC_CREATED] = "created",
	[EXEC_RUNNING] = "running",
	[EXEC_DONE] = "done",
};

static void path_of(
	const struct engine *en, const char *id, const char *more, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%s/exec/%s%s", en->paths.run, id, more);
}

static char *print(const struct exec *x, size_t *ret_len)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	char *text;

	yyjson_mut_doc_set_root(doc, top);
	yyjson_mut_obj_add_str(doc, top, "container", x->c->id);
	yyjson_mut_obj_add_bool(doc, top, "probe", x->probe);
	yyjson_mut_obj_add_str(doc, top, "status", status_names[x->state.status]);
	yyjson_mut_obj_add_int(doc, top, "pid", x->state.pid);
	yyjson_mut_obj_add_int(doc, top, "exit_code", x->state.exit_code);
	yyjson_mut_obj_add_uint(doc, top, "done_ms", x->state.done_ms);
	yyjson_mut_obj_add_val(
		doc, top, "config", yyjson_val_mut_copy(doc, yyjson_doc_get_root(x->record)));
	text = yyjson_mut_write(doc, 0, ret_len);
	yyjson_mut_doc_free(doc);
	return text;
}

int exec_save(struct engine *en, const struct exec *x, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char path[4096];
	char half[4096];
	size_t len = 0;
	char *text = print(x, &len);
	int r = text ? 0 : -ENOMEM;

	path_of(en, x->id, "", path, sizeof(path));
	path_of(en, x->id, ".new", half, sizeof(half));
	if (r == 0) {
		fd = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		r = fd < 0 ? -errno : io_write_all(fd, text, len);
	}
	free(text);
	if (r == 0 && rename(half, path) < 0)
		r = -errno;
	return r < 0 ? err_set(e, -r, "write %s: %s", path, strerror(-r)) : 0;
}

void exec_erase(struct engine *en, const char *id)
{
	char path[4096];

	path_of(en, id, "", path, sizeof(path));
	(void)unlink(path);
}

/* With its state; NULL for what is no record of a container that is there. */
static struct exec *parse(struct engine *en, const char *id, const char *text, size_t len)
{
	yyjson_doc *doc = yyjson_read(text, len, 0);
	yyjson_val *top = yyjson_doc_get_root(doc);
	yyjson_val *config = yyjson_obj_get(top, "config");
	yyjson_mut_doc *copy = yyjson_mut_doc_new(NULL);
	struct container *c = NULL;
	struct exec *x = NULL;
	struct err ignored = {0};

	if (yyjson_is_obj(config) &&
		container_get(en, spec_str(top, "container"), &c, &ignored) == 0) {
		yyjson_doc *record;

		yyjson_mut_doc_set_root(copy, yyjson_val_mut_copy(copy, config));
		record = yyjson_mut_doc_imut_copy(copy, NULL);
		x = record ? exec_new(en, id, c, record,
				     yyjson_get_bool(yyjson_obj_get(top, "probe")))
			   : NULL;
		if (!x)
			yyjson_doc_free(record);
		container_put(c);
	}
	for (int i = 0; x && i < EXEC_STATUSES; i++)
		if (strcmp(spec_str(top, "status"), status_names[i]) == 0)
			x->state.status = (enum exec_status)i;
	if (x) {
		x->state.pid = (int)spec_int(top, "pid");
		x->state.exit_code = (int)spec_int(top, "exit_code");
		x->state.done_ms = yyjson_get_uint(yyjson_obj_get(top, "done_ms"));
	}
	yyjson_mut_doc_free(copy);
	yyjson_doc_free(doc);
	return x;
}

/* The process, if init still has it: its number alone may be another's by now. */
static int open_process(struct engine *en, struct exec *x, struct err *e)
{
	int r;

	x->pidfd = sys_pidfd_open(x->state.pid, 0);
	r = engine_adopted(en, x->id, e);
	if (r != ADOPTED_RUNS)
		fd_close(&x->pidfd);
	return r;
}

/*
 * Take up one that an engine before this one knew. A probe's result has nobody to go to any more:
 * the next one is run in its time.
 */
static int take_up(struct engine *en, struct exec *x, struct err *e)
{
	struct err ignored = {0};
	int adopted = engine_adopted(en, x->id, e);
	int r = adopted < 0 ? adopted : 0;

	if (r == 0 && adopted == ADOPTED_RUNS && x->state.status == EXEC_RUNNING)
		adopted = r = open_process(en, x, e);
	r = r < 0 ? r : 0;
	if (r == 0 && adopted && x->state.status == EXEC_RUNNING) {
		if (x->probe)
			exec_kill(x);
		else
			r = exec_take_back(en, x, e);
	}
	if (r == 0 && !adopted && x->state.status == EXEC_RUNNING) {
		/* init is not the one who had it. */
		x->state.status = EXEC_DONE;
		x->state.exit_code = 255;
		x->state.done_ms = time_now_ms();
		r = exec_save(en, x, e);
	}
	if (r < 0)
		return r;
	if (x->probe) {
		(void)initlink_drop_fds(&en->init, x->id, NULL, &ignored);
		exec_erase(en, x->id);
	} else {
		exec_add(en, x);
	}
	return 0;
}

static int load_one(struct engine *en, const char *id, struct err *e)
{
	AUTO_BUF struct buf text = {0};
	char path[4096];
	char *room = buf_reserve(&text, EXEC_RECORD_BYTES_MAX);
	struct exec *x = NULL;
	ssize_t len;
	int r = 0;

	path_of(en, id, "", path, sizeof(path));
	if (!room)
		return err_set(e, ENOMEM, "out of memory");
	len = io_read_file_at(AT_FDCWD, path, room, EXEC_RECORD_BYTES_MAX);
	if (len > 0)
		x = parse(en, id, room, (size_t)len);
	if (!x) {
		exec_erase(en, id);
		return 0;
	}
	r = take_up(en, x, e);
	exec_put(x);
	return r;
}

int exec_recover(struct engine *en, struct err *e)
{
	char path[4096];
	struct dirent *entry;
	DIR *d;
	int r = 0;

	path_of(en, "", "", path, sizeof(path));
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_set(e, errno, "make %s: %s", path, strerror(errno));
	d = opendir(path);
	if (!d)
		return err_set(e, errno, "open %s: %s", path, strerror(errno));
	while (r == 0 && (entry = readdir(d))) {
		/* Half of a record has a longer name. */
		if (strlen(entry->d_name) == CONTAINER_ID_BYTES - 1)
			r = load_one(en, entry->d_name, e);
		else if (entry->d_name[0] != '.')
			exec_erase(en, entry->d_name);
	}
	closedir(d);
	return r;
}
