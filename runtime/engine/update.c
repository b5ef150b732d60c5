/* Changing what a container may use, and its restart policy, while it is there. */
#include "runtime/engine/container.h"
#include "runtime/engine/resources.h"
#include "runtime/engine/spec.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Bring the new policy in, if one is named. */
static int merge_policy(
	yyjson_mut_doc *doc, yyjson_mut_val *host, yyjson_val *change, struct err *e)
{
	yyjson_val *policy = yyjson_obj_get(change, "RestartPolicy");
	const char *name = spec_str(policy, "Name");
	int r;

	if (!name[0])
		return 0;
	r = restart_policy_check(name, spec_int(policy, "MaximumRetryCount"), e);
	if (r < 0)
		return r;
	if (strcmp(name, "no") != 0 && yyjson_mut_get_bool(yyjson_mut_obj_get(host, "AutoRemove")))
		return err_set(e, EBUSY,
			"Restart policy cannot be updated because AutoRemove is enabled for the "
			"container");
	(void)yyjson_mut_obj_replace(
		host, yyjson_mut_strcpy(doc, "RestartPolicy"), yyjson_val_mut_copy(doc, policy));
	return 0;
}

/* Have the runtime set the limits of the running container. */
static int apply(struct engine *en, const struct container *c, yyjson_val *host, struct err *e)
{
	const char *const args[] = {"update", "--resources", "-", c->id, NULL};
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *resources = resources_spec(doc, host, e);
	AUTO_CLOSE int input = memfd_create("resources", MFD_CLOEXEC);
	AUTO_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int stdio[3] = {input, null, null};
	char *text = NULL;
	size_t len;
	int r = resources ? 0 : -e->code;

	if (r == 0) {
		yyjson_mut_doc_set_root(doc, resources);
		text = yyjson_mut_write(doc, 0, &len);
		r = !text ? -ENOMEM : input < 0 ? -errno : io_pwrite_all(input, text, len, 0);
		if (r < 0)
			err_set(e, -r, "hand on the resources: %s", strerror(-r));
	}
	free(text);
	yyjson_mut_doc_free(doc);
	if (r == 0)
		r = runtime_run(en, args, stdio, e);
	return r < 0 ? err_wrap(e, "Cannot update container %s", c->id) : 0;
}

/* With c->op. */
static int update_locked(struct engine *en, struct container *c, yyjson_val *change,
	const struct warnings *said, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_doc_mut_copy(c->record, NULL);
	yyjson_mut_val *host = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "HostConfig");
	struct container_state s = container_state(en, c);
	char controllers[256];
	yyjson_doc *record = NULL;
	int r;

	if (!doc)
		return err_set(e, ENOMEM, "out of memory");
	resources_controllers(controllers, sizeof(controllers));
	r = c->removed || s.status == CONTAINER_REMOVING || s.status == CONTAINER_DEAD
		    ? err_set(e, EBUSY,
			      "Cannot update container %s: container is marked for removal and "
			      "cannot be \"update\".",
			      c->id)
		    : resources_merge(doc, host, change, e);
	if (r == 0)
		r = resources_check(said->doc, host, true, controllers, said->list, e);
	if (r == 0)
		r = merge_policy(doc, host, change, e);
	if (r == 0) {
		record = yyjson_mut_doc_imut_copy(doc, NULL);
		r = record ? 0 : err_set(e, ENOMEM, "out of memory");
	}
	yyjson_mut_doc_free(doc);
	if (r == 0 && container_runs(&s))
		r = apply(en, c, yyjson_obj_get(yyjson_doc_get_root(record), "HostConfig"), e);
	if (r == 0)
		r = container_replace_record(en, c, record, e);
	if (r < 0)
		yyjson_doc_free(record);
	return r;
}

int container_update(struct engine *en, struct container *c, yyjson_val *change,
	const struct warnings *said, struct err *e)
{
	int r;

	pthread_mutex_lock(&c->op);
	r = update_locked(en, c, change, said, e);
	pthread_mutex_unlock(&c->op);
	if (r == 0)
		container_tell(en, c, "update", NULL);
	return r;
}
