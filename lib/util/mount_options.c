#include "lib/util/mount_options.h"

#include <linux/mount.h>
#include <string.h>

/* Linux 6.1 headers of the host and 6.12 of the product both have these. */
#define ATIME MOUNT_ATTR__ATIME

enum option_kind {
	OPT_NONE,      /* the default, or without meaning on Linux today */
	OPT_ATTR,      /* set and clear of struct mount_change */
	OPT_ATIME_OFF, /* takes back the access-time mode in set */
	OPT_BIND,
	OPT_PROPAGATION,
	OPT_DATA, /* goes to the file system as it stands */
	OPT_HINT, /* so too, where the file system knows it; elsewhere it has no meaning */
	OPT_COPYUP,
	OPT_REMOUNT,
	OPT_IDMAP,
};

struct option {
	const char *name;
	enum option_kind kind;
	bool recursive;
	uint64_t set; /* or the propagation */
	uint64_t clear;
};

#define BOTH(word, what, s, c)                                                                     \
	{word, what, false, s, c},                                                                 \
	{                                                                                          \
		"r" word, what, true, s, c                                                         \
	}
#define ATTR(word, s, c) BOTH(word, OPT_ATTR, s, c)
#define ATIME_OFF(word, s) BOTH(word, OPT_ATIME_OFF, s, 0)
#define PROPAGATION(word, flag) BOTH(word, OPT_PROPAGATION, flag, 0)
#define PLAIN(word, what)                                                                          \
	{                                                                                          \
		word, what, false, 0, 0                                                            \
	}

static const struct option options[] = {
	ATTR("ro", MOUNT_ATTR_RDONLY, 0),
	ATTR("rw", 0, MOUNT_ATTR_RDONLY),
	ATTR("suid", 0, MOUNT_ATTR_NOSUID),
	ATTR("nosuid", MOUNT_ATTR_NOSUID, 0),
	ATTR("dev", 0, MOUNT_ATTR_NODEV),
	ATTR("nodev", MOUNT_ATTR_NODEV, 0),
	ATTR("exec", 0, MOUNT_ATTR_NOEXEC),
	ATTR("noexec", MOUNT_ATTR_NOEXEC, 0),
	/* The three access-time modes are one value: setting one clears the field first. */
	ATTR("noatime", MOUNT_ATTR_NOATIME, ATIME),
	ATTR("relatime", MOUNT_ATTR_RELATIME, ATIME),
	ATTR("strictatime", MOUNT_ATTR_STRICTATIME, ATIME),
	ATIME_OFF("atime", MOUNT_ATTR_NOATIME),
	ATIME_OFF("norelatime", MOUNT_ATTR_RELATIME),
	ATIME_OFF("nostrictatime", MOUNT_ATTR_STRICTATIME),
	ATTR("diratime", 0, MOUNT_ATTR_NODIRATIME),
	ATTR("nodiratime", MOUNT_ATTR_NODIRATIME, 0),
	ATTR("symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW),
	ATTR("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0),
	PROPAGATION("private", MS_PRIVATE),
	PROPAGATION("shared", MS_SHARED),
	PROPAGATION("slave", MS_SLAVE),
	PROPAGATION("unbindable", MS_UNBINDABLE),
	{"bind", OPT_BIND, false, 0, 0},
	{"rbind", OPT_BIND, true, 0, 0},
	PLAIN("defaults", OPT_NONE),
	PLAIN("silent", OPT_NONE),
	PLAIN("loud", OPT_NONE),
	PLAIN("sync", OPT_DATA),
	PLAIN("async", OPT_DATA),
	PLAIN("dirsync", OPT_DATA),
	PLAIN("lazytime", OPT_DATA),
	PLAIN("nolazytime", OPT_DATA),
	PLAIN("mand", OPT_DATA),
	PLAIN("nomand", OPT_DATA),
	PLAIN("acl", OPT_HINT),
	PLAIN("noacl", OPT_HINT),
	PLAIN("iversion", OPT_HINT),
	PLAIN("noiversion", OPT_HINT),
	PLAIN("tmpcopyup", OPT_COPYUP),
	PLAIN("remount", OPT_REMOUNT),
	{"idmap", OPT_IDMAP, false, 0, 0},
	{"ridmap", OPT_IDMAP, true, 0, 0},
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct option *option_find(const char *word)
{
	for (size_t i = 0; i < N_OPTIONS; i++) {
		if (strcmp(word, options[i].name) == 0)
			return &options[i];
	}
	return NULL;
}

/* A later word wins over an earlier one, as with mount(8). */
static void change_apply(struct mount_change *c, uint64_t set, uint64_t clear)
{
	c->set = (c->set & ~clear) | set;
	c->clear = (c->clear & ~set) | clear;
}

/* "atime" ends "noatime" and leaves "strictatime" alone; with nothing said before, the mode is the
 * kernel's default, which is relatime. */
static void atime_off(struct mount_change *c, uint64_t mode)
{
	if (!(c->clear & ATIME) || (c->set & ATIME) == mode)
		change_apply(c, MOUNT_ATTR_RELATIME, ATIME);
}

int mount_options_parse(
	struct arena *arena, const struct json_strv *words, struct mount_options *ret)
{
	*ret = (struct mount_options){0};
	ret->data.v = arena_calloc(arena, words->n + 1, sizeof(char *));
	if (!ret->data.v)
		return -ENOMEM;
	for (size_t i = 0; i < words->n; i++) {
		const struct option *o = option_find(words->v[i]);
		struct mount_change *change = o && o->recursive ? &ret->all : &ret->top;

		/* what podman leaves of a setting that is not set */
		if (words->v[i][0] == '\0')
			continue;
		switch (o ? o->kind : OPT_DATA) {
		case OPT_NONE:
			break;
		case OPT_ATTR:
			change_apply(change, o->set, o->clear);
			break;
		case OPT_ATIME_OFF:
			atime_off(change, o->set);
			break;
		case OPT_BIND:
			ret->bind = true;
			ret->recursive_bind |= o->recursive;
			break;
		case OPT_PROPAGATION:
			/* One mount has one propagation: the last word says which. */
			ret->top.propagation = 0;
			ret->all.propagation = 0;
			change->propagation = o->set;
			break;
		case OPT_DATA:
		case OPT_HINT:
			ret->data.v[ret->data.n++] = words->v[i];
			break;
		case OPT_COPYUP:
			ret->tmpcopyup = true;
			break;
		case OPT_REMOUNT:
			ret->remount = true;
			break;
		case OPT_IDMAP:
			ret->idmap = true;
			ret->recursive_idmap |= o->recursive;
			break;
		}
	}
	return 0;
}

int mount_propagation(const char *word, uint64_t *ret_flag, bool *ret_recursive)
{
	const struct option *o = option_find(word);

	if (!o || o->kind != OPT_PROPAGATION)
		return -EINVAL;
	*ret_flag = o->set;
	*ret_recursive = o->recursive;
	return 0;
}

bool mount_option_is_hint(const char *word)
{
	const struct option *o = option_find(word);

	return o && o->kind == OPT_HINT;
}

const char *mount_option_name(size_t i)
{
	return i < N_OPTIONS ? options[i].name : NULL;
}
