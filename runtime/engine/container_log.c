/* Where a container's output is kept, and how. */
#include "runtime/engine/container.h"
#include "runtime/engine/log_options.h"
#include "runtime/engine/spec.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static yyjson_val *log_config(const struct container *c)
{
	return yyjson_obj_get(container_host_config(c), "LogConfig");
}

bool container_keeps_log(const struct container *c)
{
	return strcmp(spec_str(log_config(c), "Type"), log_driver_names[LOG_DRIVER_NONE]) != 0;
}

bool container_has_json_file(const struct container *c)
{
	return strcmp(spec_str(log_config(c), "Type"), log_driver_names[LOG_DRIVER_JSON_FILE]) == 0;
}

/* Docker's names; what is in a file of the driver local is nobody's business but ours. */
void container_log_path(const struct engine *en, const struct container *c, unsigned generation,
	char *buf, size_t size)
{
	char name[CONTAINER_ID_BYTES + 32];

	if (container_has_json_file(c))
		(void)snprintf(name, sizeof(name), "%s-json.log", c->id);
	else
		(void)snprintf(name, sizeof(name), "local-logs/container.log");
	if (generation)
		(void)snprintf(name + strlen(name), sizeof(name) - strlen(name), ".%u", generation);
	container_path(en, c, name, buf, size);
}

int container_open_log(struct engine *en, struct container *c, struct stdio *io, struct err *e)
{
	const struct log_subject subject = {
		.id = c->id,
		.name = c->name,
		.image_id = container_image(c),
		.image_name = spec_str(container_config(c), "Image"),
		.config = container_config(c),
	};
	AUTO_BUF struct buf attrs = {0};
	struct log_options options;
	char path[4096];
	int r = log_options_read(log_config(c), &options, e);

	if (r < 0 || options.driver == LOG_DRIVER_NONE)
		return r;
	if (options.driver == LOG_DRIVER_LOCAL) {
		container_path(en, c, "local-logs", path, sizeof(path));
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return err_set(e, errno, "make %s: %s", path, strerror(errno));
	}
	r = log_options_attrs(log_config(c), &subject, &attrs, e);
	if (r < 0)
		return r;
	container_log_path(en, c, 0, path, sizeof(path));
	return logfile_open(&io->log, path, options.size_max, options.files, attrs.v, e);
}
