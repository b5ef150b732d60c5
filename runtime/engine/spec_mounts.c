/* Mounts of a container: Docker's own, its files in /etc, and those that were asked for. */
#include "lib/base/fd.h"
#include "runtime/engine/hostmounts.h"
#include "runtime/engine/mountpoints.h"
#include "runtime/engine/spec.h"
#include "runtime/engine/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

yyjson_mut_val *spec_add_mount(struct spec *s, yyjson_mut_val *out, const char *type,
	const char *source, const char *destination, const char *const *options)
{
	yyjson_mut_val *m = yyjson_mut_arr_add_obj(s->doc, out);
	yyjson_mut_val *words = yyjson_mut_arr(s->doc);

	yyjson_mut_obj_add_strcpy(s->doc, m, "destination", destination);
	yyjson_mut_obj_add_str(s->doc, m, "type", type);
	yyjson_mut_obj_add_strcpy(s->doc, m, "source", source);
	for (; options && *options; options++)
		yyjson_mut_arr_add_strcpy(s->doc, words, *options);
	yyjson_mut_obj_add_val(s->doc, m, "options", words);
	return words;
}

static yyjson_val *find_mountpoint(const struct spec *s, const char *destination)
{
	yyjson_val *mp;
	size_t i, n;

	yyjson_arr_foreach (mountpoints_of(s->c), i, n, mp)
		if (strcmp(spec_str(mp, "Destination"), destination) == 0)
			return mp;
	return NULL;
}

bool spec_is_taken(const struct spec *s, const char *destination)
{
	return find_mountpoint(s, destination) ||
	       yyjson_obj_get(yyjson_obj_get(s->host, "Tmpfs"), destination);
}

/* The options of a mount point's entry in HostConfig.Mounts. */
static yyjson_val *options_of(yyjson_val *mp, const char *key)
{
	return yyjson_obj_get(yyjson_obj_get(mp, MOUNTPOINT_SPEC), key);
}

/*
 * A mount that is to be a peer or a slave of the host's needs one there, and a root file system
 * that passes on what happens on the host.
 */
static int set_propagation(struct spec *s, yyjson_val *mp, struct err *e)
{
	const char *word = spec_str(mp, "Propagation");
	const char *source = spec_str(mp, "Source");
	bool wants_shared = strcmp(word, "shared") == 0 || strcmp(word, "rshared") == 0;
	bool shared = false;
	bool slave = false;
	int r;

	if (!wants_shared && strcmp(word, "slave") != 0 && strcmp(word, "rslave") != 0)
		return 0;
	r = mount_propagation_of(source, &shared, &slave);
	if (r < 0)
		return err_set(e, -r, "%.300s: %s", source, strerror(-r));
	if (!shared && (wants_shared || !slave))
		return err_set(e, EINVAL, "path %.300s is not on a %s mount", source,
			wants_shared ? "shared" : "shared or slave");
	if (wants_shared)
		s->root_propagation = "shared";
	else if (!s->root_propagation)
		s->root_propagation = "rslave";
	return 0;
}

static int add_bind(
	struct spec *s, yyjson_mut_val *out, yyjson_val *mp, const char *source, struct err *e)
{
	yyjson_val *options = options_of(mp, "BindOptions");
	bool alone = yyjson_get_bool(yyjson_obj_get(options, "NonRecursive"));
	bool ro_alone = yyjson_get_bool(yyjson_obj_get(options, "ReadOnlyNonRecursive"));
	bool writable = yyjson_get_bool(yyjson_obj_get(mp, "RW"));
	const char *propagation = spec_str(mp, "Propagation");
	yyjson_mut_val *words =
		spec_add_mount(s, out, "bind", source, spec_str(mp, "Destination"), NULL);
	int r = set_propagation(s, mp, e);

	yyjson_mut_arr_add_str(s->doc, words, alone ? "bind" : "rbind");
	/* With what is mounted below it, unless it is said. */
	if (!writable)
		yyjson_mut_arr_add_str(s->doc, words, ro_alone ? "ro" : "rro");
	yyjson_mut_arr_add_strcpy(s->doc, words, propagation[0] ? propagation : "rprivate");
	return r;
}

/* Words of a tmpfs: what is behind "=" of one key, or a word and its opposite, the last one wins;
 * the runtime sees to that. */
static void add_words(struct spec *s, yyjson_mut_val *words, const char *given)
{
	while (given && *given) {
		size_t len = strcspn(given, ",");

		if (len)
			yyjson_mut_arr_add_strncpy(s->doc, words, given, len);
		given += len + (given[len] == ',');
	}
}

static yyjson_mut_val *add_tmpfs(struct spec *s, yyjson_mut_val *out, const char *destination)
{
	static const char *const always[] = {"noexec", "nosuid", "nodev", "rprivate", NULL};

	return spec_add_mount(s, out, "tmpfs", "tmpfs", destination, always);
}

static void add_tmpfs_spec(struct spec *s, yyjson_mut_val *out, yyjson_val *mp)
{
	yyjson_val *options = options_of(mp, "TmpfsOptions");
	yyjson_mut_val *words = add_tmpfs(s, out, spec_str(mp, "Destination"));
	char option[64];
	yyjson_val *item;
	size_t i, n;

	if (spec_int(options, "SizeBytes")) {
		(void)snprintf(option, sizeof(option), "size=%lld",
			(long long)spec_int(options, "SizeBytes"));
		yyjson_mut_arr_add_strcpy(s->doc, words, option);
	}
	if (spec_int(options, "Mode")) {
		(void)snprintf(
			option, sizeof(option), "mode=%o", (unsigned)spec_int(options, "Mode"));
		yyjson_mut_arr_add_strcpy(s->doc, words, option);
	}
	yyjson_arr_foreach (yyjson_obj_get(options, "Options"), i, n, item)
		yyjson_mut_arr_append(
			words, yyjson_val_mut_copy(s->doc, yyjson_arr_get_first(item)));
	if (!yyjson_get_bool(yyjson_obj_get(mp, "RW")))
		yyjson_mut_arr_add_str(s->doc, words, "ro");
}

static int add_mountpoint(
	struct spec *s, yyjson_mut_val *out, yyjson_val *mp, size_t number, struct err *e)
{
	const char *type = spec_str(mp, "Type");
	char path[4096];
	int r;

	if (strcmp(type, "tmpfs") == 0) {
		add_tmpfs_spec(s, out, mp);
		return 0;
	}
	if (strcmp(type, "image") != 0 && !spec_str(options_of(mp, "VolumeOptions"), "Subpath")[0])
		return add_bind(s, out, mp, spec_str(mp, "Source"), e);
	r = stage_mount(s->en, s->c, mp, number, path, sizeof(path), e);
	return r < 0 ? r : add_bind(s, out, mp, path, e);
}

static size_t depth_of(const char *path)
{
	size_t depth = 0;

	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

/* What lies below another comes after it; of the same depth, in the order of the request. */
struct place {
	const char *destination;
	const char *tmpfs; /* words; NULL: a mount point */
	yyjson_val *mp;
	size_t order;
};

static int by_depth(const void *a, const void *b)
{
	const struct place *x = a;
	const struct place *y = b;
	size_t dx = depth_of(x->destination);
	size_t dy = depth_of(y->destination);

	if (dx != dy)
		return dx < dy ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int add_wanted(struct spec *s, yyjson_mut_val *out, struct err *e)
{
	yyjson_val *tmpfs = yyjson_obj_get(s->host, "Tmpfs");
	yyjson_val *list = mountpoints_of(s->c);
	struct place *places =
		calloc(yyjson_arr_size(list) + yyjson_obj_size(tmpfs) + 1, sizeof(*places));
	yyjson_val *key, *item;
	size_t count = 0;
	size_t i, n;
	int r = 0;

	if (!places)
		return err_set(e, ENOMEM, "out of memory");
	yyjson_arr_foreach (list, i, n, item) {
		places[count] = (struct place){spec_str(item, "Destination"), NULL, item, count};
		count++;
	}
	if (tmpfs)
		yyjson_obj_foreach (tmpfs, i, n, key, item) {
			places[count] = (struct place){
				yyjson_get_str(key), yyjson_get_str(item), NULL, count};
			count++;
		}
	qsort(places, count, sizeof(*places), by_depth);
	for (i = 0; r == 0 && i < count; i++) {
		if (places[i].mp)
			r = add_mountpoint(s, out, places[i].mp, places[i].order, e);
		else
			add_words(s, add_tmpfs(s, out, places[i].destination), places[i].tmpfs);
	}
	free(places);
	return r;
}

/* Docker's own mounts, with what the host config changes of them. */
static yyjson_mut_val *default_mounts(struct spec *s)
{
	yyjson_mut_val *all = spec_mounts(s->doc);
	yyjson_mut_val *out = yyjson_mut_arr(s->doc);
	const char *ipc = spec_str(s->host, "IpcMode");
	char size[48];
	yyjson_mut_val *m;
	size_t i, n;

	(void)snprintf(size, sizeof(size), "size=%lld", (long long)spec_int(s->host, "ShmSize"));
	yyjson_mut_arr_foreach (all, i, n, m) {
		const char *destination = yyjson_mut_get_str(yyjson_mut_obj_get(m, "destination"));
		yyjson_mut_val *copy = yyjson_mut_val_mut_copy(s->doc, m);
		yyjson_mut_val *options = yyjson_mut_obj_get(copy, "options");

		if (spec_is_taken(s, destination))
			continue;
		if (strcmp(destination, "/dev/shm") == 0) {
			if (strcmp(ipc, "host") == 0 || strcmp(ipc, "none") == 0)
				continue;
			yyjson_mut_arr_remove_last(options);
			yyjson_mut_arr_add_strcpy(s->doc, options, size);
		}
		if (s->privileged && strncmp(destination, "/sys", 4) == 0) {
			yyjson_mut_val *word;
			size_t k, words;
			size_t at = (size_t)-1;

			yyjson_mut_arr_foreach (options, k, words, word)
				if (yyjson_mut_equals_str(word, "ro"))
					at = k;
			if (at != (size_t)-1)
				yyjson_mut_arr_remove(options, at);
		}
		yyjson_mut_arr_append(out, copy);
	}
	return out;
}

/* HostConfig.Init: the program's parent comes from the host, where Docker has it. */
static int add_init(struct spec *s, yyjson_mut_val *out, struct err *e)
{
	static const char *const options[] = {"bind", "ro", NULL};
	const char *path = s->en->paths.docker_init;

	if (access(path, X_OK) < 0)
		return err_set(e, errno, "HostConfig.Init: %s: %s", path, strerror(errno));
	(void)spec_add_mount(s, out, "bind", path, SPEC_INIT_PATH, options);
	return 0;
}

yyjson_mut_val *spec_mount_list(struct spec *s, struct err *e)
{
	yyjson_mut_val *out = default_mounts(s);
	int r = spec_etc_files(s, out, e);

	if (r == 0 && spec_with_init(s))
		r = add_init(s, out, e);
	if (r == 0)
		r = add_wanted(s, out, e);
	return r < 0 ? NULL : out;
}
