/* Making a container: what the client asked for and what the image says become one record. */
#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "lib/util/rmtree.h"
#include "runtime/engine/container.h"
#include "runtime/engine/health.h"
#include "runtime/engine/log_options.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/resources.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* names that are tried before giving up */
#define NAME_ROUNDS 20

static const char *str_of(yyjson_mut_val *obj, const char *key)
{
	const char *s = yyjson_mut_get_str(yyjson_mut_obj_get(obj, key));

	return s ? s : "";
}

static void set_str(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, const char *value)
{
	yyjson_mut_val *val = yyjson_mut_strcpy(doc, value);
	yyjson_mut_val *old = yyjson_mut_obj_get(obj, key);

	/* In its place: clients read the order as well. */
	if (old)
		yyjson_mut_set_strn(old, yyjson_mut_get_str(val), yyjson_mut_get_len(val));
	else
		yyjson_mut_obj_add_val(doc, obj, key, val);
}

/* Replace a field's value where it stands. */
static void set_val(yyjson_mut_doc *doc, yyjson_mut_val *obj, const char *key, yyjson_mut_val *val)
{
	yyjson_mut_val *name = yyjson_mut_strcpy(doc, key);

	if (!yyjson_mut_obj_replace(obj, name, val))
		yyjson_mut_obj_add(obj, name, val);
}

static bool is_empty(yyjson_mut_val *val)
{
	return !val || yyjson_mut_is_null(val) ||
	       (yyjson_mut_is_str(val) && yyjson_mut_get_len(val) == 0) ||
	       (yyjson_mut_is_arr(val) && yyjson_mut_arr_size(val) == 0) ||
	       (yyjson_mut_is_obj(val) && yyjson_mut_obj_size(val) == 0);
}

/* Fields that come from the image when the client says nothing. */
static void take_absent(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *image)
{
	static const char *const keys[] = {
		"User", "WorkingDir", "StopSignal", "Shell", "OnBuild", "Entrypoint"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		yyjson_val *theirs = yyjson_obj_get(image, keys[i]);

		if (theirs && !yyjson_is_null(theirs) &&
			is_empty(yyjson_mut_obj_get(config, keys[i])))
			set_val(doc, config, keys[i], yyjson_val_mut_copy(doc, theirs));
	}
}

/* Objects whose keys of both sides count, the client's before the image's. */
static void merge_maps(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *image)
{
	static const char *const keys[] = {"Labels", "ExposedPorts", "Volumes"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		yyjson_val *theirs = yyjson_obj_get(image, keys[i]);
		yyjson_mut_val *ours = yyjson_mut_obj_get(config, keys[i]);
		yyjson_val *key, *val;
		size_t k, n;

		if (!yyjson_is_obj(theirs) || yyjson_obj_size(theirs) == 0)
			continue;
		if (!yyjson_mut_is_obj(ours)) {
			set_val(doc, config, keys[i], yyjson_val_mut_copy(doc, theirs));
			continue;
		}
		yyjson_obj_foreach (theirs, k, n, key, val) {
			if (!yyjson_mut_obj_get(ours, yyjson_get_str(key)))
				yyjson_mut_obj_add(ours, yyjson_val_mut_copy(doc, key),
					yyjson_val_mut_copy(doc, val));
		}
	}
}

/* Of a healthcheck each field that the client leaves open is the image's. */
static void merge_health(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *image)
{
	static const char *const keys[] = {
		"Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"};
	yyjson_val *theirs = yyjson_obj_get(image, "Healthcheck");
	yyjson_mut_val *ours = yyjson_mut_obj_get(config, "Healthcheck");

	if (!yyjson_is_obj(theirs))
		return;
	if (!yyjson_mut_is_obj(ours)) {
		set_val(doc, config, "Healthcheck", yyjson_val_mut_copy(doc, theirs));
		return;
	}
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		yyjson_val *field = yyjson_obj_get(theirs, keys[i]);
		yyjson_mut_val *own = yyjson_mut_obj_get(ours, keys[i]);

		if (field && (is_empty(own) ||
				     (yyjson_mut_is_int(own) && yyjson_mut_get_sint(own) == 0)))
			set_val(doc, ours, keys[i], yyjson_val_mut_copy(doc, field));
	}
}

static size_t key_len(const char *env)
{
	return strcspn(env, "=");
}

/* The client's variables, then those of the image that it does not set. */
static void merge_env(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *image)
{
	yyjson_val *theirs = yyjson_obj_get(image, "Env");
	yyjson_mut_val *ours = yyjson_mut_obj_get(config, "Env");
	yyjson_val *item;
	size_t i, n;

	if (yyjson_arr_size(theirs) == 0)
		return;
	if (!yyjson_mut_is_arr(ours)) {
		set_val(doc, config, "Env", yyjson_val_mut_copy(doc, theirs));
		return;
	}
	yyjson_arr_foreach (theirs, i, n, item) {
		const char *env = yyjson_get_str(item);
		yyjson_mut_val *own;
		bool set = false;
		size_t k, m;

		yyjson_mut_arr_foreach (ours, k, m, own) {
			const char *mine = yyjson_mut_get_str(own);

			set |= key_len(mine) == key_len(env) &&
			       strncmp(mine, env, key_len(env)) == 0;
		}
		if (!set)
			yyjson_mut_arr_append(ours, yyjson_val_mut_copy(doc, item));
	}
}

void config_merge(yyjson_mut_doc *doc, yyjson_mut_val *config, yyjson_val *theirs)
{
	/* An entrypoint of the client's own makes the image's words meaningless. */
	bool own_entrypoint = !is_empty(yyjson_mut_obj_get(config, "Entrypoint"));
	yyjson_val *cmd = yyjson_obj_get(theirs, "Cmd");
	yyjson_mut_val *entrypoint;

	take_absent(doc, config, theirs);
	if (!own_entrypoint && cmd && is_empty(yyjson_mut_obj_get(config, "Cmd")))
		set_val(doc, config, "Cmd", yyjson_val_mut_copy(doc, cmd));
	/* [""] takes the image's entrypoint away. */
	entrypoint = yyjson_mut_obj_get(config, "Entrypoint");
	if (yyjson_mut_arr_size(entrypoint) == 1 &&
		yyjson_mut_equals_str(yyjson_mut_arr_get_first(entrypoint), ""))
		set_val(doc, config, "Entrypoint", yyjson_mut_null(doc));
	merge_env(doc, config, theirs);
	merge_maps(doc, config, theirs);
	merge_health(doc, config, theirs);
}

static int merge_image(yyjson_mut_doc *doc, yyjson_mut_val *config,
	const struct image_record *image, struct err *e)
{
	config_merge(
		doc, config, yyjson_obj_get(yyjson_doc_get_root(image->config_doc.doc), "config"));
	if (is_empty(yyjson_mut_obj_get(config, "Cmd")) &&
		is_empty(yyjson_mut_obj_get(config, "Entrypoint")))
		return err_set(e, EINVAL, "no command specified");
	return health_check(yyjson_mut_obj_get(config, "Healthcheck"), e);
}

/* Docker's defaults that depend on other fields. */
static void fill_host(yyjson_mut_doc *doc, yyjson_mut_val *host)
{
	static const struct {
		const char *key, *value;
	} words[] = {
		{"CgroupnsMode", "private"},
		{"IpcMode", "private"},
		{"Runtime", "sampan-oci"},
	};
	yyjson_mut_val *log = yyjson_mut_obj_get(host, "LogConfig");
	yyjson_mut_val *restart = yyjson_mut_obj_get(host, "RestartPolicy");
	bool privileged = yyjson_mut_get_bool(yyjson_mut_obj_get(host, "Privileged"));

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!str_of(host, words[i].key)[0])
			set_str(doc, host, words[i].key, words[i].value);
	if (!str_of(log, "Type")[0])
		set_str(doc, log, "Type", "json-file");
	if (!str_of(restart, "Name")[0])
		set_str(doc, restart, "Name", "no");
	if (yyjson_mut_get_sint(yyjson_mut_obj_get(host, "ShmSize")) == 0)
		set_val(doc, host, "ShmSize", yyjson_mut_int(doc, 67108864));
	if (yyjson_mut_is_null(yyjson_mut_obj_get(host, "MaskedPaths")))
		set_val(doc, host, "MaskedPaths",
			privileged ? yyjson_mut_null(doc) : spec_masked_paths(doc));
	if (yyjson_mut_is_null(yyjson_mut_obj_get(host, "ReadonlyPaths")))
		set_val(doc, host, "ReadonlyPaths",
			privileged ? yyjson_mut_null(doc) : spec_readonly_paths(doc));
}

/* What is refused by name: a container that silently lacks what was asked for is worse. */
static int check_host(yyjson_mut_val *host, struct err *e)
{
	static const char *const not_served[] = {"Links", "PortBindings", "StorageOpt"};
	const char *network = str_of(host, "NetworkMode");
	const char *policy = str_of(yyjson_mut_obj_get(host, "RestartPolicy"), "Name");
	int r;

	if (strcmp(network, "none") != 0 && strcmp(network, "host") != 0 &&
		strncmp(network, "container:", strlen("container:")) != 0)
		return err_set(e, ENOTSUP,
			"HostConfig.NetworkMode: network \"%s\" is not served yet: use none, "
			"host or container:NAME",
			network);
	r = restart_policy_check(policy,
		yyjson_mut_get_sint(yyjson_mut_obj_get(
			yyjson_mut_obj_get(host, "RestartPolicy"), "MaximumRetryCount")),
		e);
	if (r < 0)
		return r;
	if (yyjson_mut_get_bool(yyjson_mut_obj_get(host, "AutoRemove")) &&
		strcmp(policy, "no") != 0)
		return err_set(
			e, EINVAL, "can't create 'AutoRemove' container with restart policy");
	if (!is_empty(yyjson_mut_obj_get(host, "DeviceRequests")))
		return err_set(e, ENOTSUP,
			"could not select device driver \"\": HostConfig.DeviceRequests (--gpus) "
			"is not served");
	for (size_t i = 0; i < sizeof(not_served) / sizeof(not_served[0]); i++)
		if (!is_empty(yyjson_mut_obj_get(host, not_served[i])))
			return err_set(
				e, ENOTSUP, "HostConfig.%s is not served yet", not_served[i]);
	return 0;
}

/* Path and Args as `inspect` shows them: the words in one row. */
static void add_words(yyjson_mut_doc *doc, yyjson_mut_val *top, yyjson_mut_val *config)
{
	static const char *const keys[] = {"Entrypoint", "Cmd"};
	yyjson_mut_val *args = yyjson_mut_arr(doc);
	const char *path = NULL;

	for (size_t i = 0; i < 2; i++) {
		yyjson_mut_val *word;
		size_t k, n;

		yyjson_mut_arr_foreach (yyjson_mut_obj_get(config, keys[i]), k, n, word) {
			if (path)
				yyjson_mut_arr_append(args, yyjson_mut_val_mut_copy(doc, word));
			else
				path = yyjson_mut_get_str(word);
		}
	}
	yyjson_mut_obj_add_str(doc, top, "Path", path);
	yyjson_mut_obj_add_val(doc, top, "Args", args);
}

/* The record; NULL with @e filled. */
static yyjson_doc *make_record(const struct image_record *image, const char *id,
	yyjson_val *config_in, yyjson_val *host_in, yyjson_val *networking,
	const struct warnings *said, struct err *e)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *top = yyjson_mut_obj(doc);
	yyjson_mut_val *config = yyjson_val_mut_copy(doc, config_in);
	yyjson_mut_val *host = yyjson_val_mut_copy(doc, host_in);
	yyjson_doc *record = NULL;
	struct log_options log;
	char controllers[256];
	char hostname[13];
	int r;

	yyjson_mut_doc_set_root(doc, top);
	fill_host(doc, host);
	resources_controllers(controllers, sizeof(controllers));
	r = check_host(host, e);
	if (r == 0)
		r = resources_check(said->doc, host, false, controllers, said->list, e);
	if (r == 0)
		r = merge_image(doc, config, image, e);
	if (r == 0) {
		if (!str_of(config, "Hostname")[0]) {
			(void)snprintf(hostname, sizeof(hostname), "%.12s", id);
			set_str(doc, config, "Hostname", hostname);
		}
		yyjson_mut_obj_add_int(doc, top, "Created", realtime_ns());
		yyjson_mut_obj_add_str(doc, top, "Image", image->id);
		add_words(doc, top, config);
		yyjson_mut_obj_add_val(doc, top, "Config", config);
		yyjson_mut_obj_add_val(doc, top, "HostConfig", host);
		yyjson_mut_obj_add_val(
			doc, top, "NetworkingConfig", yyjson_val_mut_copy(doc, networking));
		record = yyjson_mut_doc_imut_copy(doc, NULL);
		if (!record)
			err_set(e, ENOMEM, "out of memory");
	}
	yyjson_mut_doc_free(doc);
	if (record && log_options_read(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(record),
							      "HostConfig"),
					       "LogConfig"),
			      &log, e) < 0) {
		yyjson_doc_free(record);
		record = NULL;
	}
	return record;
}

static int make_dirs(struct engine *en, const char *id, struct err *e)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {{"upper", 0755}, {"work", 0700}, {"rootfs", 0755}};
	AUTO_CLOSE int all = openat(en->root, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int own = -1;

	if (all < 0 || mkdirat(all, id, 0710) < 0 ||
		(own = openat(all, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return err_set(e, errno, "make the container's directory: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdirat(own, dirs[i].name, dirs[i].mode) < 0)
			return err_set(
				e, errno, "make the container's directory: %s", strerror(errno));
	return 0;
}

/* On record under @name, or under one that is free. */
static int add_named(struct engine *en, struct container *c, const char *name, struct err *e)
{
	char made[64];

	if (name)
		return container_add(en, c, e);
	for (unsigned round = 0; round < NAME_ROUNDS; round++) {
		int r;

		name_make(round, made, sizeof(made));
		free(c->name);
		c->name = strdup(made);
		if (!c->name)
			return err_set(e, ENOMEM, "out of memory");
		r = container_add(en, c, e);
		if (r != -EEXIST)
			return r;
	}
	return -EEXIST;
}

/* Put the container on record, with its directory and what its volumes get from the image. @record:
 * taken over */
static int keep(struct engine *en, const char *id, const char *name, yyjson_doc *record,
	struct container **ret, struct err *e)
{
	struct container *c = container_new(id, name ? name : "", record);
	int r;

	if (!c) {
		yyjson_doc_free(record);
		return err_set(e, ENOMEM, "out of memory");
	}
	/* The directory and the volumes first: what is on record can be started. */
	r = make_dirs(en, id, e);
	if (r == 0)
		r = mountpoints_fill(en, c, e);
	if (r == 0)
		r = add_named(en, c, name, e);
	if (r < 0) {
		AUTO_CLOSE int all =
			openat(en->root, "containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (all >= 0)
			(void)rmtree_at(all, id);
		container_put(c);
		return r;
	}
	*ret = c;
	return 0;
}

int container_create(struct engine *en, const char *name, yyjson_val *config, yyjson_val *host,
	yyjson_val *networking, const struct warnings *said, struct container **ret, struct err *e)
{
	const char *ref = yyjson_get_str(yyjson_obj_get(config, "Image"));
	char image_id[IMAGE_ID_BYTES];
	char id[CONTAINER_ID_BYTES];
	struct image_record image;
	struct container *c = NULL;
	yyjson_doc *record = NULL;
	int r;

	if (name && !name[0])
		name = NULL;
	if (name && name[0] == '/')
		name++;
	r = name ? container_check_name(name, e) : 0;
	if (r == 0 && (!ref || !ref[0]))
		r = err_set(e, EINVAL, "Config.Image: no image was named");
	if (r == 0)
		r = image_store_find(&en->images, ref, image_id, e);
	if (r == 0 && id_make(id) < 0)
		r = err_set(e, EIO, "no random numbers");
	if (r == 0)
		r = image_store_get(&en->images, image_id, &image, e);
	if (r < 0)
		return r;
	record = make_record(&image, id, config, host, networking, said, e);
	image_record_free(&image);
	if (record)
		record = mountpoints_add(en, id, record, e);
	r = record ? keep(en, id, name, record, &c, e) : e ? -e->code : -EINVAL;
	volumes_release(en, id, r == 0);
	if (r < 0)
		return r;
	container_tell(en, c, "create", NULL);
	*ret = c;
	return 0;
}
