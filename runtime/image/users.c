#include "runtime/image/users.h"

#include "lib/base/num.h"

#include <errno.h>
#include <string.h>

/* The highest id: 2^32-1 means "no change" to chown and setuid. */
#define ID_MAX (UINT32_MAX - 1)

#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4

struct span {
	const char *s;
	size_t len;
};

struct line {
	struct span field[PASSWD_FIELDS];
	uint64_t id;  /* uid or gid */
	uint64_t gid; /* of a passwd line */
};

static int span_is(struct span a, struct span b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static int parse_id(struct span s, uint64_t *ret)
{
	return num_parse_u64(s.s, s.len, ID_MAX, ret);
}

/* Split one line into exactly @n fields. Returns 0, or -EINVAL if it is no entry. */
static int parse_line(struct span text, size_t n, struct line *ret)
{
	for (size_t i = 0; i < n; i++) {
		const char *colon = memchr(text.s, ':', text.len);
		size_t len = colon ? (size_t)(colon - text.s) : text.len;

		if ((i < n - 1) != (colon != NULL))
			return -EINVAL;
		ret->field[i] = (struct span){text.s, len};
		if (colon)
			text = (struct span){colon + 1, text.len - len - 1};
	}
	if (ret->field[0].len == 0 || ret->field[0].s[0] == '#' ||
		parse_id(ret->field[2], &ret->id) < 0)
		return -EINVAL;
	return n == PASSWD_FIELDS ? parse_id(ret->field[3], &ret->gid) : 0;
}

/* Step to the next entry of a file. Returns 1, or 0 at the end. */
static int next_line(struct accounts_file *file, size_t n_fields, struct line *ret)
{
	while (file->len > 0) {
		const char *end = memchr(file->text, '\n', file->len);
		size_t len = end ? (size_t)(end - file->text) : file->len;
		struct span text = {file->text, len};

		file->text += len + (end ? 1 : 0);
		file->len -= len + (end ? 1 : 0);
		if (!memchr(text.s, '\0', text.len) && parse_line(text, n_fields, ret) == 0)
			return 1;
	}
	return 0;
}

/* Whether an entry is meant by a name or number. */
static int is_meant(const struct line *line, struct span who)
{
	uint64_t id;

	return span_is(line->field[0], who) || (parse_id(who, &id) == 0 && id == line->id);
}

static int list_has(struct span list, struct span name)
{
	while (list.len > 0) {
		const char *comma = memchr(list.s, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.s) : list.len;

		if (span_is((struct span){list.s, len}, name))
			return 1;
		list.s += len + (comma ? 1 : 0);
		list.len -= len + (comma ? 1 : 0);
	}
	return 0;
}

static int add_group(struct user *u, uint32_t gid, struct err *e)
{
	for (size_t i = 0; i < u->n_groups; i++) {
		if (u->groups[i] == gid)
			return 0;
	}
	if (u->n_groups == IMAGE_GROUPS_MAX)
		return err_set(e, E2BIG, "user is in more than %d groups", IMAGE_GROUPS_MAX);
	u->groups[u->n_groups++] = gid;
	return 0;
}

/* Find the user. @ret_name: its name in passwd, empty for a bare number. */
static int find_user(struct span who, struct accounts_file passwd, struct user *u,
	struct span *ret_name, struct err *e)
{
	static const struct span root = {"0", 1};
	struct line line;
	uint64_t uid;

	while (next_line(&passwd, PASSWD_FIELDS, &line)) {
		struct span home = line.field[5];

		if (!is_meant(&line, who.len ? who : root))
			continue;
		u->uid = (uint32_t)line.id;
		u->gid = (uint32_t)line.gid;
		if (home.len > 0 && home.len < sizeof(u->home)) {
			memcpy(u->home, home.s, home.len);
			u->home[home.len] = '\0';
		}
		*ret_name = line.field[0];
		return 0;
	}
	if (who.len == 0)
		return 0;
	if (parse_id(who, &uid) < 0)
		return err_set(e, ENOENT, "user \"%.*s\" is not in the image's /etc/passwd",
			(int)(who.len < 100 ? who.len : 100), who.s);
	u->uid = (uint32_t)uid;
	return 0;
}

static int find_group(struct span which, struct accounts_file group, struct user *u, struct err *e)
{
	struct line line;
	uint64_t gid;

	while (next_line(&group, GROUP_FIELDS, &line)) {
		if (is_meant(&line, which)) {
			u->gid = (uint32_t)line.id;
			return 0;
		}
	}
	if (parse_id(which, &gid) < 0)
		return err_set(e, ENOENT, "group \"%.*s\" is not in the image's /etc/group",
			(int)(which.len < 100 ? which.len : 100), which.s);
	u->gid = (uint32_t)gid;
	return 0;
}

int users_lookup(const char *spec, struct accounts_file passwd, struct accounts_file group,
	struct user *ret, struct err *e)
{
	const char *colon = strchr(spec, ':');
	struct span who = {spec, colon ? (size_t)(colon - spec) : strlen(spec)};
	struct span which = {colon ? colon + 1 : "", colon ? strlen(colon + 1) : 0};
	struct user u = {.home = "/"};
	struct span name = {"", 0};
	struct line line;
	int r;

	if (memchr(which.s, ':', which.len) || (colon && who.len == 0))
		return err_set(e, EINVAL, "user \"%.100s\" is not USER or USER:GROUP", spec);
	r = find_user(who, passwd, &u, &name, e);
	if (r == 0 && which.len > 0)
		r = find_group(which, group, &u, e);
	if (r == 0)
		r = add_group(&u, u.gid, e);
	while (r == 0 && which.len == 0 && name.len > 0 && next_line(&group, GROUP_FIELDS, &line)) {
		if (list_has(line.field[3], name))
			r = add_group(&u, (uint32_t)line.id, e);
	}
	if (r == 0)
		*ret = u;
	return r;
}
