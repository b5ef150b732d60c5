#include "runtime/image/tarindex.h"

#include "lib/base/io.h"
#include "lib/base/num.h"
#include "lib/util/path.h"
#include "runtime/image/layerpath.h"
#include "runtime/image/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a header block: POSIX.1-2008 pax, "ustar Interchange Format". */
enum {
	NAME_AT = 0,
	NAME_BYTES = 100,
	SIZE_AT = 124,
	SIZE_BYTES = 12,
	SUM_AT = 148,
	SUM_BYTES = 8,
	TYPE_AT = 156,
	LINK_AT = 157,
	LINK_BYTES = 100,
	MAGIC_AT = 257,
	PREFIX_AT = 345,
	PREFIX_BYTES = 155,
};

/* What pax and GNU records say about the member that follows them. */
struct overrides {
	char *path;
	char *link;
	int has_size;
	uint64_t size;
};

static int parse_number(const unsigned char *p, size_t len, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	if (p[0] & 0x80) { /* base 256, GNU: the top bit marks it, negative ones are refused */
		if (p[0] != 0x80)
			return -EINVAL;
		for (i = 1; i < len; i++) {
			if (value >> 55)
				return -EINVAL;
			value = value << 8 | p[i];
		}
		*ret = value;
		return 0;
	}
	while (i < len && p[i] == ' ')
		i++;
	for (; i < len && p[i] >= '0' && p[i] <= '7'; i++)
		value = value << 3 | (unsigned)(p[i] - '0');
	if (i < len && p[i] != ' ' && p[i] != '\0')
		return -EINVAL;
	*ret = value;
	return 0;
}

int tar_header_parse(
	const unsigned char block[static TAR_BLOCK_BYTES], char *ret_type, uint64_t *ret_size)
{
	unsigned sum = 0;
	uint64_t want;
	uint64_t size;

	for (unsigned i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_BYTES ? ' ' : block[i];
	if (sum == ' ' * SUM_BYTES && block[SUM_AT] == '\0') {
		*ret_type = '\0';
		*ret_size = 0;
		return 0;
	}
	if (parse_number(block + SUM_AT, SUM_BYTES, &want) < 0 || want != sum)
		return -EINVAL;
	if (parse_number(block + SIZE_AT, SIZE_BYTES, &size) < 0)
		return -EINVAL;
	*ret_type = block[TYPE_AT] ? (char)block[TYPE_AT] : '0'; /* NUL: a file of before POSIX */
	/* Links, directories, devices and fifos have no data, whatever the field says. */
	*ret_size = strchr("123456", *ret_type) ? 0 : size;
	return 0;
}

static void drop_overrides(struct overrides *o)
{
	free(o->path);
	free(o->link);
	*o = (struct overrides){0};
}

/* Copy @len bytes to a new string; a NUL inside ends it. */
static int set_string(char **s, const char *value, size_t len)
{
	free(*s);
	*s = strndup(value, len);
	return *s ? 0 : -ENOMEM;
}

/* Records of the form "LENGTH KEY=VALUE\n". */
static int parse_pax(const char *p, size_t len, struct overrides *o)
{
	while (len > 0) {
		const char *space = memchr(p, ' ', len);
		const char *equals;
		uint64_t record;
		const char *value;
		size_t value_len;
		int r = 0;

		if (!space || num_parse_u64(p, (size_t)(space - p), len, &record) < 0 ||
			record < (size_t)(space - p) + 3 || p[record - 1] != '\n')
			return -EINVAL;
		equals = memchr(space, '=', record - (size_t)(space - p));
		if (!equals)
			return -EINVAL;
		value = equals + 1;
		value_len = (size_t)(p + record - 1 - value);
		if (strncmp(space, " path=", 6) == 0)
			r = set_string(&o->path, value, value_len);
		else if (strncmp(space, " linkpath=", 10) == 0)
			r = set_string(&o->link, value, value_len);
		else if (strncmp(space, " size=", 6) == 0) {
			r = num_parse_u64(value, value_len, INT64_MAX, &o->size);
			o->has_size = 1;
		}
		if (r < 0)
			return r;
		p += record;
		len -= record;
	}
	return 0;
}

static int read_record(int fd, uint64_t offset, uint64_t size, char type, struct overrides *o)
{
	char *buf;
	int r = 0;

	if (size > IMAGE_TAR_RECORD_BYTES_MAX)
		return -EFBIG;
	buf = malloc(size + 1);
	if (!buf)
		return -ENOMEM;
	if (io_pread_all(fd, buf, size, offset) < 0)
		r = -EIO;
	else if (type == 'x')
		r = parse_pax(buf, size, o);
	else
		r = set_string(type == 'L' ? &o->path : &o->link, buf, size);
	free(buf);
	return r;
}

static int header_name(const unsigned char *block, struct overrides *o)
{
	const char *name = (const char *)block + NAME_AT;
	const char *prefix = (const char *)block + PREFIX_AT;
	char buf[NAME_BYTES + PREFIX_BYTES + 2];

	/* "ustar\0" has a prefix there; GNU's "ustar " has times. */
	if (memcmp(block + MAGIC_AT, "ustar", 6) == 0 && prefix[0])
		snprintf(buf, sizeof(buf), "%.*s/%.*s", PREFIX_BYTES, prefix, NAME_BYTES, name);
	else
		snprintf(buf, sizeof(buf), "%.*s", NAME_BYTES, name);
	return set_string(&o->path, buf, strlen(buf));
}

static int add_member(struct tar_index *index, const unsigned char *block, char type,
	uint64_t offset, uint64_t size, struct overrides *o)
{
	struct tar_member *m = &index->members[index->n_members];
	const char *link = (const char *)block + LINK_AT;
	char clean[PATH_BYTES_MAX];
	int r = o->path ? 0 : header_name(block, o);

	if (r < 0)
		return r;
	/* Nothing asks for a name with "..", so such a member is not indexed. */
	if (layer_path_clean(o->path, clean, sizeof(clean)) < 0)
		return 0;
	*m = (struct tar_member){.symlink = type == '2', .offset = offset, .size = size};
	if (type == '1' || type == '2') {
		m->link = o->link ? strdup(o->link) : strndup(link, LINK_BYTES);
		if (!m->link)
			return -ENOMEM;
	}
	m->name = strdup(clean);
	if (!m->name) {
		free(m->link);
		return -ENOMEM;
	}
	index->n_members++;
	return 0;
}

static int scan(
	int fd, uint64_t file_bytes, struct tar_index *index, struct overrides *o, struct err *e)
{
	unsigned char block[TAR_BLOCK_BYTES];
	uint64_t at = 0;
	int r;

	for (;;) {
		uint64_t size;
		char type;

		if (io_pread_all(fd, block, sizeof(block), at) < 0)
			return err_set(e, EINVAL, "truncated tar file: ends at byte %llu",
				(unsigned long long)at);
		if (tar_header_parse(block, &type, &size) < 0)
			return err_set(
				e, EINVAL, "not a tar header at byte %llu", (unsigned long long)at);
		if (type == '\0')
			return 0;
		at += sizeof(block);
		if (o->has_size && !strchr("xgLK", type))
			size = o->size;
		if (size > file_bytes || at > file_bytes - size)
			return err_set(
				e, EINVAL, "truncated tar file: a member ends behind its end");
		if (index->n_members == IMAGE_TAR_ENTRIES_MAX)
			return err_set(e, EFBIG, "tar file with more than %d members",
				IMAGE_TAR_ENTRIES_MAX);
		if (strchr("xLK", type)) {
			r = read_record(fd, at, size, type, o);
		} else {
			r = strchr("0127", type) ? add_member(index, block, type, at, size, o) : 0;
			if (type != 'g')
				drop_overrides(o);
		}
		if (r < 0)
			return err_set(e, -r, "tar member at byte %llu: %s", (unsigned long long)at,
				strerror(-r));
		at += (size + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
	}
}

int tar_index_read(int fd, uint64_t file_bytes, struct tar_index *ret, struct err *e)
{
	struct tar_index index = {.members = calloc(IMAGE_TAR_ENTRIES_MAX, sizeof(*index.members))};
	struct overrides o = {0};
	int r;

	if (!index.members)
		return err_set(e, ENOMEM, "no memory for the list of blobs");
	r = scan(fd, file_bytes, &index, &o, e);
	drop_overrides(&o);
	if (r < 0) {
		tar_index_free(&index);
		return r;
	}
	*ret = index;
	return 0;
}

void tar_index_free(struct tar_index *index)
{
	for (size_t i = 0; i < index->n_members; i++) {
		free(index->members[i].name);
		free(index->members[i].link);
	}
	free(index->members);
	*index = (struct tar_index){0};
}

static const struct tar_member *find_member(const struct tar_index *index, const char *name)
{
	/* From the end: of two members with one name tar takes the last. */
	for (size_t i = index->n_members; i > 0; i--) {
		if (strcmp(index->members[i - 1].name, name) == 0)
			return &index->members[i - 1];
	}
	return NULL;
}

/* Write the name that a link means: "a/b" with "../c/d" is "c/d". Returns 0, -1 if it leaves. */
static int resolve_link(const struct tar_member *m, char *out, size_t size)
{
	const char *slash = m->symlink && m->link[0] != '/' ? strrchr(m->name, '/') : NULL;
	size_t dir_len = slash ? (size_t)(slash - m->name) : 0;
	const char *target = m->link;

	while (strncmp(target, "../", 3) == 0) {
		if (dir_len == 0)
			return -1;
		while (dir_len > 0 && m->name[dir_len - 1] != '/')
			dir_len--;
		if (dir_len > 0)
			dir_len--;
		target += 3;
	}
	if (dir_len + strlen(target) + 2 > size)
		return -1;
	memcpy(out, m->name, dir_len);
	out[dir_len] = '/';
	memcpy(out + dir_len + 1, target, strlen(target) + 1);
	return 0;
}

const struct tar_member *tar_index_find(const struct tar_index *index, const char *name)
{
	char path[PATH_BYTES_MAX];
	char clean[PATH_BYTES_MAX];
	const struct tar_member *m;

	if (layer_path_clean(name, clean, sizeof(clean)) < 0)
		return NULL;
	m = find_member(index, clean);
	for (int hops = 0; m && m->link; hops++) {
		if (hops == IMAGE_TAR_LINKS_MAX || resolve_link(m, path, sizeof(path)) < 0 ||
			layer_path_clean(path, clean, sizeof(clean)) < 0)
			return NULL;
		m = find_member(index, clean);
	}
	return m;
}
