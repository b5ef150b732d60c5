/* What an exec instance's process is, in the runtime's words. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/engine/exec.h"
#include "runtime/engine/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The root that the container's first process sees: users are looked up in the files that are there
 * now. */
static int open_root(struct engine *en, const struct container *c, struct err *e)
{
	struct container_state s = container_state(en, c);
	char path[40];
	int fd;

	if (!container_runs(&s))
		return err_set(e, EBUSY, "container %s is not running", c->id);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", s.pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_set(e, errno, "open the root of container %s: %s", c->id,
				strerror(errno))
		      : fd;
}

static yyjson_mut_val *make(
	struct spec *s, yyjson_val *config, const struct exec_start *how, struct err *e)
{
	const struct spec_program program = {
		.words = {yyjson_obj_get(config, "Cmd")},
		.env = yyjson_obj_get(config, "Env"),
		.user = spec_str(config, "User"),
		.cwd = spec_str(config, "WorkingDir"),
	};
	yyjson_val *size = yyjson_obj_get(config, "ConsoleSize");
	unsigned rows = how->rows ? how->rows : (unsigned)yyjson_get_uint(yyjson_arr_get(size, 0));
	unsigned columns =
		how->rows ? how->columns : (unsigned)yyjson_get_uint(yyjson_arr_get(size, 1));
	yyjson_mut_val *process = NULL;

	if (spec_security(s, e) == 0 && spec_caps(s, e) == 0)
		process = spec_process(s, &program, e);
	if (process && s->tty && rows) {
		yyjson_mut_val *box = yyjson_mut_obj_add_obj(s->doc, process, "consoleSize");

		yyjson_mut_obj_add_uint(s->doc, box, "height", rows);
		yyjson_mut_obj_add_uint(s->doc, box, "width", columns);
	}
	return process;
}

int exec_spec(struct engine *en, const struct exec *x, const struct exec_start *how, struct err *e)
{
	yyjson_val *config = yyjson_doc_get_root(x->record);
	AUTO_CLOSE int root = open_root(en, x->c, e);
	AUTO_CLOSE int fd = -1;
	struct spec s = {
		.en = en,
		.c = x->c,
		.config = container_config(x->c),
		.host = container_host_config(x->c),
		.rootfd = root,
		.seccomp = "",
		.tty = x->io->tty,
	};
	yyjson_mut_val *process;
	char *text = NULL;
	size_t len = 0;
	int r = 0;

	if (root < 0)
		return root;
	s.privileged = yyjson_get_bool(yyjson_obj_get(config, "Privileged")) ||
		       yyjson_get_bool(yyjson_obj_get(s.host, "Privileged"));
	s.doc = yyjson_mut_doc_new(NULL);
	process = make(&s, config, how, e);
	if (!process) {
		r = e->code ? -e->code : err_set(e, ENOMEM, "out of memory");
	} else {
		text = yyjson_mut_val_write(process, 0, &len);
		fd = memfd_create("process", MFD_CLOEXEC);
		r = !text ? -ENOMEM : fd < 0 ? -errno : io_write_all(fd, text, len);
		if (r < 0)
			err_set(e, -r, "write the process: %s", strerror(-r));
	}
	free(text);
	free(s.caps);
	yyjson_mut_doc_free(s.doc);
	return r < 0 ? r : TAKE_FD(fd);
}
